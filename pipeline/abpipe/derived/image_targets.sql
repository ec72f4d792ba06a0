-- One row for every label of a picture: the mean click of its annotators, and how far to trust it.
-- A label that belongs to the picture and that nobody clicked has no place.
WITH told AS (
    SELECT
        image_id, label, clicks.dataset, x, y, x_px, y_px, xmin, ymin, xmax, ymax,
        coalesce(weight, 1) AS weight,
        coalesce(clicks.annotator_id, annotation_id::VARCHAR) AS annotator_id
    FROM clicks
    LEFT JOIN (FROM boxes WHERE kind = 'core') AS core
        USING (annotation_id, image_id, label, dataset)
    LEFT JOIN annotators
        ON (annotators.annotator_id, annotators.dataset) = (clicks.annotator_id, clicks.dataset)
    UNION ALL BY NAME
    SELECT image_id, class_id AS label, dataset FROM images WHERE class_id IS NOT NULL
    UNION ALL BY NAME
    SELECT image_id, class_id AS label, dataset
    FROM objects JOIN classes USING (class_id, dataset)
    WHERE classes.category_id IS NOT NULL
), answers AS (
    SELECT
        image_id, label, dataset,
        avg(x) FILTER (y IS NOT NULL) AS x,
        avg(y) FILTER (x IS NOT NULL) AS y,
        avg(x_px) FILTER (y_px IS NOT NULL) AS mean_x_px,
        avg(y_px) FILTER (x_px IS NOT NULL) AS mean_y_px,
        count(x_px) FILTER (y_px IS NOT NULL) AS n_placed,
        count(DISTINCT annotator_id) AS n_annotators,
        avg(weight) FILTER (x IS NOT NULL AND y IS NOT NULL) AS weight,
        avg(xmin) AS box_xmin,
        avg(ymin) AS box_ymin,
        avg(xmax) AS box_xmax,
        avg(ymax) AS box_ymax
    FROM told
    GROUP BY image_id, label, dataset
), spreads AS (
    -- not var_pop, whose last bit depends on which of two clicks comes first
    SELECT
        image_id, label, dataset,
        avg((x_px - mean_x_px) ** 2 + (y_px - mean_y_px) ** 2) AS variance
    FROM told JOIN answers USING (image_id, label, dataset)
    WHERE n_placed > 1
    GROUP BY image_id, label, dataset
), shown AS (
    SELECT
        image_id, dataset,
        count(DISTINCT coalesce(annotator_id, annotation_id::VARCHAR)) AS n_shown
    FROM annotations
    GROUP BY image_id, dataset
), measured AS (
    SELECT
        image_id, label, x, y, box_xmin, box_ymin, box_xmax, box_ymax, weight, n_annotators,
        n_annotators / n_shown AS agreement,
        sqrt(variance / (stored_width ** 2 + stored_height ** 2)) AS spread,
        frame, dataset
    FROM answers
    LEFT JOIN spreads USING (image_id, label, dataset)
    JOIN image_sizes USING (image_id, dataset)
    LEFT JOIN shown USING (image_id, dataset)
)
SELECT
    image_id, label, x, y, spread, n_annotators, agreement,
    box_xmin, box_ymin, box_xmax, box_ymax,
    weight,
    list_filter([
        if(x IS NULL, 'unplaced', NULL),
        if(NOT is_inside(x, y), 'outside', NULL),
        if(spread > 0.25, 'spread', NULL),
        if(agreement <= 0.5, 'disputed', NULL),
        if(frame <> 'ok', 'frame', NULL)
    ], lambda flag: flag IS NOT NULL) AS flags,
    dataset
FROM measured
