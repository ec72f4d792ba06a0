-- One row for every record: its moves, seen as a whole. Lengths and times are sums over its visits;
-- what describes a shape is that of the deciding visit.
WITH whole AS (
    SELECT
        annotation_id,
        sum(n_moves)::BIGINT AS n_moves,
        count(*) AS n_visits,
        sum(n_clicks)::BIGINT AS n_clicks,
        sum(observed_ms)::BIGINT AS observed_ms,
        sum(unobserved_ms)::BIGINT AS unobserved_ms,
        sum(dwell)::BIGINT AS dwell,
        sum(path) AS total_dist,
        sum(duration) FILTER (n_moves > 1)::BIGINT AS duration,
        sum(idle_time)::BIGINT AS idle_time,
        sum(hovers)::BIGINT AS hovers,
        sum(hover_time)::BIGINT AS hover_time,
        sum(estimate_ms)::BIGINT AS recomputed_ms,
        list(deciding) AS deciding,
        list(t_ms) AS t_ms,
        list(x_px) AS x_px,
        list(y_px) AS y_px,
        list(dwell_ms) AS dwell_ms
    FROM visits
    GROUP BY annotation_id
), sizes AS (
    -- grouped, or few records at once would reach the functions: one vector of image_sizes has few
    SELECT
        annotation_id,
        any_value(stored_width) AS width,
        any_value(stored_height) AS height,
        any_value(frame) AS frame
    FROM annotations JOIN image_sizes USING (image_id, dataset)
    GROUP BY annotation_id
), measured AS (
    SELECT
        *,
        unnest(measure_trace(deciding, t_ms, x_px, y_px, dwell_ms, width, height))
    FROM annotations
    LEFT JOIN whole USING (annotation_id)
    LEFT JOIN sizes USING (annotation_id)
)
SELECT
    annotation_id, image_id, annotator_id,
    coalesce(n_moves, 0) AS n_moves,
    coalesce(n_visits, 0) AS n_visits,
    coalesce(observed_ms, 0) AS observed_ms,
    coalesce(unobserved_ms, 0) AS unobserved_ms,
    dwell, total_dist, duration, idle_time, hovers, hover_time,
    initiation_time, vel_max, vel_max_time, vel_mean, acc_max, acc_max_time,
    MAD, MAD_time, AD, AUC, xpos_flips, ypos_flips, sample_entropy, straightness, jump_share,
    hull, hull_x, hull_y,
    hull_area_px,
    hull_area_px / (width * height) AS hull_fraction,
    centroid_x, centroid_y,
    box_xmin, box_ymin, box_xmax, box_ymax,
    core_xmin, core_ymin, core_xmax, core_ymax,
    if(tool = 'imagenet', coalesce(recomputed_ms, 0), NULL) AS estimate_recomputed_ms,
    if(
        tool = 'imagenet',
        coalesce(n_clicks, 0) = selected::INT AND coalesce(select_count = selected::INT, true),
        NULL
    ) AS estimate_exact,
    coalesce(frame, 'unknown') AS frame,
    dataset
FROM measured
