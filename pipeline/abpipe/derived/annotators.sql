-- One row an annotator: how they work, what of it is suspicious, and how far to trust them.
-- A rate is a share of the records, or clicks, that the figure is defined for, and says of how many.
WITH limits AS (
    -- the flags: the share above which each is raised, and what it is a share of
    SELECT * FROM (VALUES
        ('hurried', 0.4, 'answers far sooner than those of others'),
        ('copy_clicks', 0.3, 'answers at one spot'),
        ('no_trace', 0.3, 'answers without a move'),
        ('straight', 0.3, 'traces along a straight line'),
        ('jumps', 0.3, 'traces that jump most of the way'),
        ('far_from_others', 0.3, 'clicks far from those of others'),
        ('off_object', 0.4, 'clicks off the object'),
        ('edges', 0.2, 'clicks near an edge')
    ) AS limits (flag, most, what)
), judged AS (
    -- each click against the objects of its class
    SELECT
        annotation_id, clicks.label,
        bool_or(x_px BETWEEN xmin AND xmax AND y_px BETWEEN ymin AND ymax) AS hit
    FROM clicks
    JOIN ground_truth
        ON (ground_truth.image_id, ground_truth.label, ground_truth.dataset)
            = (clicks.image_id, clicks.label, clicks.dataset)
    GROUP BY ALL
), common AS (
    -- what more than one record answers. No window: over all clicks of a million pictures, the
    -- sums of DuckDB 2.0.0's were wrong
    SELECT
        image_id, label, dataset,
        count(x_px) - 1 AS others,
        sum(x_px ORDER BY annotation_id) AS sum_x,
        sum(y_px ORDER BY annotation_id) AS sum_y
    FROM clicks
    SEMI JOIN (
        SELECT image_id, label, dataset FROM clicks GROUP BY ALL HAVING count(*) > 1
    ) USING (image_id, label, dataset)
    GROUP BY image_id, label, dataset
), shared AS (
    -- how far each of those is from the mean of the others
    SELECT
        annotation_id, label, others,
        (sum_x - x_px) / others - x_px AS dx,
        (sum_y - y_px) / others - y_px AS dy,
        sqrt(dx * dx + dy * dy)
            / sqrt(stored_width * stored_width + stored_height * stored_height) AS far
    FROM clicks
    JOIN common USING (image_id, label, dataset)
    JOIN image_sizes USING (image_id, dataset)
), clicked AS (
    SELECT
        annotator_id, dataset,
        count(*) AS n_clicks,
        count(far) FILTER (others > 0) AS n_shared,
        median(far) FILTER (others > 0) AS others_distance,
        avg((far > 0.25)::INT) FILTER (others > 0) AS far_rate,
        count(x) AS n_placed,
        avg((least(x, 1 - x, y, 1 - y) < 0.1)::INT) AS edge_rate,
        count(hit) AS n_judged,
        avg((NOT hit)::INT) AS miss_rate
    FROM clicks
    LEFT JOIN shared USING (annotation_id, label)
    LEFT JOIN judged USING (annotation_id, label)
    GROUP BY ALL
), spots AS (
    -- the most clicks in one cell, of four grids shifted by half a cell
    SELECT annotator_id, dataset, max(n) AS at_spot
    FROM (
        SELECT annotator_id, dataset, count(*) AS n
        FROM clicks, (VALUES (0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)) AS shifts (x_shift, y_shift)
        WHERE x IS NOT NULL AND y IS NOT NULL
        GROUP BY
            annotator_id, dataset, x_shift, y_shift,
            floor(x / 0.04 + x_shift), floor(y / 0.04 + y_shift)
    )
    GROUP BY ALL
), records AS (
    SELECT
        annotation_id, annotations.annotator_id, annotations.dataset, page, slot, selected,
        coalesce(n_answers, 0) AS n_answers,
        n_moves, jump_share, mad, total_dist,
        sqrt(stored_width * stored_width + stored_height * stored_height) AS diagonal,
        -- until the first answer: the rest of a page has the hand's time in it, which hurry leaves
        CASE WHEN tool = 'coco' THEN first_ms WHEN selected THEN estimate_ms END AS taken_ms,
        CASE WHEN taken_ms > 0 THEN taken_ms END AS time_ms,
        -- what takes equally long: a picture of the same class, or with as many icons
        if(tool = 'coco', coalesce(n_answers, 0)::VARCHAR, class_id) AS kind
    FROM annotations
    JOIN images USING (image_id, source, dataset)
    JOIN image_sizes USING (image_id, dataset)
    JOIN traces USING (annotation_id)
    LEFT JOIN (
        SELECT annotation_id, count(*) AS n_answers FROM clicks GROUP BY ALL
    ) USING (annotation_id)
    LEFT JOIN (
        SELECT annotation_id, min(first_ms) AS first_ms FROM icons GROUP BY ALL
    ) USING (annotation_id)
), kinds AS (
    -- a few people would be compared with themselves: they are with all
    SELECT dataset, kind, median(ln(time_ms)) AS usual
    FROM records GROUP BY ALL HAVING count(DISTINCT annotator_id) FILTER (time_ms > 0) >= 10
), every AS (
    SELECT dataset, median(ln(time_ms)) AS usual FROM records GROUP BY dataset
), paced AS (
    SELECT records.*, ln(time_ms) - coalesce(kinds.usual, every.usual) AS later
    FROM records
    LEFT JOIN kinds USING (dataset, kind)
    JOIN every USING (dataset)
), people AS (
    -- the pace of each, so that everybody counts once, however much they did
    SELECT annotator_id, dataset, median(later) AS pace
    FROM paced
    WHERE annotator_id IS NOT NULL
    GROUP BY ALL HAVING count(later) >= 10
), crowds AS (
    SELECT dataset, median(pace) AS middle, mad(pace) AS apart
    FROM people GROUP BY dataset HAVING count(*) >= 10
), scales AS (
    -- the normal distribution's standard deviation, from the median deviation
    SELECT
        dataset,
        coalesce(any_value(crowds.middle), median(later)) AS middle,
        nullif(1.4826 * coalesce(any_value(apart), mad(later)), 0) AS scale
    FROM paced LEFT JOIN crowds USING (dataset) GROUP BY dataset
), worked AS (
    SELECT
        annotator_id, dataset,
        count(*) AS n_records,
        avg(selected::INT) AS selection_rate,
        count(*) FILTER (n_answers > 0) AS n_answered,
        count(time_ms) AS n_timed,
        quantile_cont(time_ms, [0.1, 0.5, 0.9]) AS times,
        median(z) AS pace_z,
        avg((z < -3)::INT) AS hurried_rate,
        avg((n_moves = 0)::INT) FILTER (n_answers > 0) AS no_trace_rate,
        count(*) FILTER (is_long) AS n_long,
        avg((abs(mad) <= 0.005 * diagonal)::INT) FILTER (is_long) AS straight_rate,
        count(jump_share) AS n_moving,
        avg((jump_share > 0.5)::INT) AS jump_rate,
        -- in one order, so that the sums are the same in any company; NaN where all is one page
        nullif(regr_slope(z, page ORDER BY annotation_id), 'nan') AS fatigue_page,
        nullif(regr_slope(z, slot ORDER BY annotation_id), 'nan') AS fatigue_slot
    FROM (
        SELECT
            *,
            (later - middle) / scale AS z,
            n_answers > 0 AND n_moves >= 5 AND total_dist >= 0.15 * diagonal AS is_long
        FROM paced JOIN scales USING (dataset)
    )
    WHERE annotator_id IS NOT NULL
    GROUP BY ALL
), figures AS (
    SELECT
        annotator_id,
        n_records, n_answered, n_clicks, selection_rate,
        n_timed, times[1] AS time_p10_ms, times[2] AS time_p50_ms, times[3] AS time_p90_ms,
        pace_z, hurried_rate,
        at_spot / greatest(n_answered, at_spot) AS spot_rate,
        no_trace_rate,
        n_long, straight_rate,
        n_moving, jump_rate,
        n_shared, others_distance, far_rate,
        n_judged, miss_rate,
        n_placed, edge_rate,
        fatigue_page, fatigue_slot,
        dataset
    FROM worked
    LEFT JOIN clicked USING (annotator_id, dataset)
    LEFT JOIN spots USING (annotator_id, dataset)
), rates AS (
    UNPIVOT (
        SELECT
            annotator_id, dataset,
            {'rate': hurried_rate, 'n': n_timed} AS hurried,
            {'rate': spot_rate, 'n': n_answered} AS copy_clicks,
            {'rate': no_trace_rate, 'n': n_answered} AS no_trace,
            {'rate': straight_rate, 'n': n_long} AS straight,
            {'rate': jump_rate, 'n': n_moving} AS jumps,
            {'rate': far_rate, 'n': n_shared} AS far_from_others,
            {'rate': miss_rate, 'n': n_judged} AS off_object,
            -- one object a picture lies near the middle; many lie everywhere
            CASE WHEN selection_rate IS NOT NULL THEN {'rate': edge_rate, 'n': n_placed} END
                AS edges
        FROM figures
    ) ON hurried, copy_clicks, no_trace, straight, jumps, far_from_others, off_object, edges
    INTO NAME flag VALUE figure
), flagged AS (
    -- Wilson's lower bound at three standard deviations: few records prove little
    SELECT
        annotator_id, dataset,
        list(flag ORDER BY flag) AS flags,
        list(
            format('{}: {:.0f} % of {} {}', flag, 100 * figure.rate, figure.n, what) ORDER BY flag
        ) AS reasons,
        max(figure.rate) AS worst
    FROM rates JOIN limits USING (flag)
    WHERE (figure.rate + 4.5 / figure.n
            - 3 * sqrt(figure.rate * (1 - figure.rate) / figure.n + 2.25 / figure.n ** 2))
        / (1 + 9 / figure.n) > most
    GROUP BY ALL
)
SELECT
    figures.* EXCLUDE (dataset),
    coalesce(flags, []) AS flags,
    coalesce(reasons, []) AS reasons,
    1 - coalesce(worst, 0) AS weight,
    dataset
FROM figures LEFT JOIN flagged USING (annotator_id, dataset)
