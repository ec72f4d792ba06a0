-- One row for every icon that an annotator ever had on the board, also if it was taken back. It
-- last lay where its last action with a place says: where to, else where from.
WITH actions AS (
    SELECT
        annotation_id, image_id, label, kind, seq, t_ms, dataset,
        CASE WHEN x IS NOT NULL AND y IS NOT NULL THEN {x: x, y: y}
            WHEN x_from IS NOT NULL AND y_from IS NOT NULL THEN {x: x_from, y: y_from} END AS place
    FROM events
    WHERE kind IN ('add', 'drag', 'remove') AND label IS NOT NULL
), icons AS (
    SELECT
        annotation_id, image_id, label,
        count(*) FILTER (kind = 'add') AS n_adds,
        count(*) FILTER (kind = 'drag') AS n_drags,
        count(*) FILTER (kind = 'remove') AS n_removes,
        min(t_ms) AS first_ms,
        max(t_ms) AS last_ms,
        arg_max(kind, seq) <> 'remove' AS is_final,
        arg_max(place, seq) FILTER (place IS NOT NULL) AS place,
        dataset
    FROM actions
    GROUP BY annotation_id, image_id, label, dataset
)
SELECT
    annotation_id, image_id, label, category_id,
    n_adds, n_drags, n_removes, first_ms, last_ms, is_final,
    stored_x(place.x, place.y, orientation) AS x,
    stored_y(place.x, place.y, orientation) AS y,
    frame, dataset
FROM icons
JOIN image_sizes USING (image_id, dataset)
LEFT JOIN classes ON (classes.class_id, classes.dataset) = (label, icons.dataset)
