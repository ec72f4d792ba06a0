-- One row for every answer. ImageNet: the last click of a record that ended selected. COCO: where
-- each icon lay in the end: its last action says so, and a removed icon lies nowhere.
WITH answers AS (
    SELECT
        annotation_id, dataset, label,
        arg_max({kind: kind, x: x, y: y, t_ms: t_ms}, seq) AS last,
        count(*) FILTER (kind <> 'remove') AS n_clicks
    FROM events
    WHERE kind = 'click' OR kind IN ('add', 'drag', 'remove') AND label IS NOT NULL
    GROUP BY annotation_id, dataset, label
)
SELECT
    annotation_id, image_id, annotator_id,
    if(tool = 'imagenet', coalesce(images.class_id, ''), label) AS label,
    category_id,
    stored_x(last.x, last.y, orientation) AS x,
    stored_y(last.x, last.y, orientation) AS y,
    stored_x(last.x, last.y, orientation) * stored_width AS x_px,
    stored_y(last.x, last.y, orientation) * stored_height AS y_px,
    last.t_ms, n_clicks,
    is_inside(last.x, last.y) AS inside,
    frame, dataset
FROM answers
JOIN annotations USING (annotation_id, dataset)
JOIN images USING (image_id, source, dataset)
JOIN image_sizes USING (image_id, dataset)
LEFT JOIN classes ON (classes.class_id, classes.dataset) = (label, annotations.dataset)
WHERE last.kind <> 'remove' AND (tool = 'coco' OR selected)
