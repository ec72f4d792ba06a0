-- One row for every answer as the published loaders read it. ImageNet: the first click of a record
-- that ended selected. COCO: the last time each icon was added, whatever became of it. They turn
-- no picture, so points stay as displayed; COCO's pixels are those of the natural size, cut off.
WITH answers AS (
    SELECT
        annotation_id, dataset, kind, label, x, y, t_ms,
        count(*) OVER one AS n_clicks
    FROM events
    WHERE kind = 'click' OR kind = 'add' AND label IS NOT NULL
    WINDOW one AS (PARTITION BY dataset, annotation_id, kind, label)
    QUALIFY seq = if(kind = 'click', min(seq) OVER one, max(seq) OVER one)
)
SELECT
    annotation_id, image_id, annotator_id,
    if(tool = 'imagenet', coalesce(images.class_id, ''), label) AS label,
    category_id, x, y,
    if(tool = 'imagenet', x * stored_width, trunc(x * natural_width)) AS x_px,
    if(tool = 'imagenet', y * stored_height, trunc(y * natural_height)) AS y_px,
    t_ms, n_clicks,
    is_inside(x, y) AS inside,
    frame, dataset
FROM answers
JOIN annotations USING (annotation_id, dataset)
JOIN images USING (image_id, source, dataset)
JOIN image_sizes USING (image_id, dataset)
LEFT JOIN classes ON (classes.class_id, classes.dataset) = (label, annotations.dataset)
WHERE tool = 'coco' OR selected
