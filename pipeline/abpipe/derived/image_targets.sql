-- One row for every label of a picture: the mean click of its annotators, and how far to trust it.
-- A label that belongs to the picture and that nobody clicked has no place.
WITH labels AS (
    SELECT image_id, label, dataset FROM clicks
    UNION
    SELECT image_id, class_id, dataset FROM images WHERE class_id IS NOT NULL
    UNION
    SELECT image_id, class_id, dataset
    FROM objects JOIN classes USING (class_id, dataset)
    WHERE classes.category_id IS NOT NULL
), shown AS (
    SELECT
        image_id, dataset,
        count(DISTINCT coalesce(annotator_id, annotation_id::VARCHAR)) AS n_shown
    FROM annotations
    GROUP BY image_id, dataset
), answers AS (
    SELECT
        image_id, label, dataset,
        avg(x ORDER BY annotation_id) AS x,
        avg(y ORDER BY annotation_id) AS y,
        list({x: x_px, y: y_px} ORDER BY annotation_id) FILTER (x_px IS NOT NULL) AS points,
        count(DISTINCT coalesce(annotator_id, annotation_id::VARCHAR)) AS n_annotators
    FROM clicks
    GROUP BY image_id, label, dataset
), measured AS (
    SELECT
        image_id, label, x, y,
        coalesce(n_annotators, 0) AS n_annotators,
        coalesce(n_annotators, 0) / n_shown AS agreement,
        CASE WHEN len(points) > 1 THEN sqrt(
            list_avg(list_transform(points, lambda p:
                (p.x - x * stored_width) ** 2 + (p.y - y * stored_height) ** 2
            )) / (stored_width ** 2 + stored_height ** 2)
        ) END AS spread,
        frame, dataset
    FROM labels
    JOIN image_sizes USING (image_id, dataset)
    LEFT JOIN answers USING (image_id, label, dataset)
    LEFT JOIN shown USING (image_id, dataset)
)
SELECT
    image_id, label, x, y, spread, n_annotators, agreement,
    NULL::DOUBLE AS box_xmin,
    NULL::DOUBLE AS box_ymin,
    NULL::DOUBLE AS box_xmax,
    NULL::DOUBLE AS box_ymax,
    if(x IS NULL, NULL, 1::DOUBLE) AS weight,
    list_filter([
        if(x IS NULL, 'unplaced', NULL),
        if(NOT is_inside(x, y), 'outside', NULL),
        if(spread > 0.25, 'spread', NULL),
        if(agreement <= 0.5, 'disputed', NULL),
        if(frame <> 'ok', 'frame', NULL)
    ], lambda flag: flag IS NOT NULL) AS flags,
    dataset
FROM measured
