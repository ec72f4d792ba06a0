-- One row for every box that a trace gives of where its object may be.
WITH found AS (
    SELECT
        annotation_id, frame,
        unnest([
            {
                kind: 'trace',
                xmin: box_xmin, ymin: box_ymin, xmax: box_xmax, ymax: box_ymax
            },
            {
                kind: 'hull',
                xmin: list_min(hull_x), ymin: list_min(hull_y),
                xmax: list_max(hull_x), ymax: list_max(hull_y)
            },
            {
                kind: 'core',
                xmin: core_xmin, ymin: core_ymin, xmax: core_xmax, ymax: core_ymax
            }
        ], max_depth := 2)
    FROM traces
)
SELECT
    annotation_id, image_id, annotator_id,
    if(tool = 'imagenet', coalesce(class_id, ''), '') AS label,
    kind, xmin, ymin, xmax, ymax, frame, dataset
FROM found
JOIN annotations USING (annotation_id)
JOIN images USING (image_id, source, dataset)
WHERE xmin IS NOT NULL
