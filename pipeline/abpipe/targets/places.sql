-- One row for every label of a picture that can be trained on: COCO's classes, and the picture's own
-- class (ImageNet). Whether its icon or click has a place, and whether it is true.
WITH own AS (
    SELECT image_id, coalesce(arg_min(class_id, source), '') AS class_id
    FROM images
    GROUP BY image_id
), truth AS (
    SELECT DISTINCT image_id, class_id AS label, true AS is_true FROM objects
)
SELECT
    row, if(category_id IS NULL, 0, class_index)::INTEGER AS k,
    x, y,
    n_annotators > 0 AS is_placed,
    coalesce(is_true, false) AS is_true
FROM targets
JOIN numbers USING (image_id)
LEFT JOIN classes ON classes.class_id = label
LEFT JOIN own USING (image_id)
LEFT JOIN truth USING (image_id, label)
WHERE category_id IS NOT NULL OR label = own.class_id
