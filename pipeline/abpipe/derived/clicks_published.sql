-- One row for every answer as the published loaders read it. ImageNet: the first click of a record
-- that ended selected. COCO: the last time each icon was added, whatever became of it. They turn
-- no picture, so points stay as displayed; COCO's pixels are those of the natural size, cut off.
WITH read AS (
    SELECT
        annotation_id, dataset, kind, label, seq, {x: x, y: y, t_ms: t_ms} AS event
    FROM events
    WHERE kind = 'click' OR kind = 'add' AND label IS NOT NULL
), answers AS (
    SELECT
        annotation_id, dataset, label,
        if(kind = 'click', arg_min(event, seq), arg_max(event, seq)) AS event,
        count(*) AS n_clicks
    FROM read
    GROUP BY annotation_id, dataset, kind, label
)
SELECT
    annotation_id, image_id, annotator_id,
    if(tool = 'imagenet', coalesce(images.class_id, ''), label) AS label,
    category_id, event.x, event.y,
    if(tool = 'imagenet', event.x * stored_width, trunc(event.x * natural_width)) AS x_px,
    if(tool = 'imagenet', event.y * stored_height, trunc(event.y * natural_height)) AS y_px,
    event.t_ms, n_clicks,
    is_inside(event.x, event.y) AS inside,
    frame, dataset
FROM answers
JOIN annotations USING (annotation_id, dataset)
JOIN images USING (image_id, source, dataset)
JOIN image_sizes USING (image_id, dataset)
LEFT JOIN classes ON (classes.class_id, classes.dataset) = (label, annotations.dataset)
WHERE tool = 'coco' OR selected
