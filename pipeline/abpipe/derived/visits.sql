-- One row for each stretch of a record in which the mouse was observed: visits.py says how records
-- are cut. The kinds of events that matter differ in their first letters.
WITH records AS (
    SELECT
        annotation_id,
        list(ascii(kind)::UTINYINT) AS kinds, list(seq) AS seqs, list(t_ms) AS times,
        list(x) AS xs, list(y) AS ys
    FROM events
    WHERE t_ms IS NOT NULL AND (kind <> 'move' OR x IS NOT NULL AND y IS NOT NULL)
    GROUP BY annotation_id
), sizes AS (
    -- grouped, or few records at once would reach the functions: one vector of image_sizes has few
    SELECT
        annotation_id,
        any_value(orientation) AS orientation,
        any_value(stored_width) AS stored_width,
        any_value(stored_height) AS stored_height
    FROM annotations JOIN image_sizes USING (image_id, dataset)
    GROUP BY annotation_id
), shown AS (
    -- how large the tool shows a picture: ImageNet's within 324 x 340, COCO's 450 high, 880 wide
    SELECT
        *,
        if(orientation >= 5, stored_height, stored_width) AS width,
        if(orientation >= 5, stored_width, stored_height) AS height,
        if(tool = 'coco', 450 / height, least(324 / width, 340 / height, 1)) AS scale
    FROM records
    JOIN annotations USING (annotation_id)
    LEFT JOIN sizes USING (annotation_id)
), cut AS (
    SELECT
        annotation_id, dataset, image_id,
        unnest(cut_visits(
            kinds, seqs, times, xs, ys, selected,
            least(coalesce(width * scale, 450), 880), coalesce(height * scale, 450),
            stored_width, stored_height, orientation
        ), max_depth := 2)
    FROM shown
)
SELECT
    annotation_id, visit, image_id, enter_ms, leave_ms, start_ms, end_ms, ended, deciding,
    len(t_ms) AS n_moves,
    n_clicks,
    end_ms - start_ms AS observed_ms,
    unobserved_ms, estimate_ms,
    list_sum(dwell_ms)::BIGINT AS dwell,
    path,
    t_ms[-1] - t_ms[1] AS duration,
    idle_time, hovers, hover_time,
    t_ms, x_px, y_px, dwell_ms, dataset
FROM cut
