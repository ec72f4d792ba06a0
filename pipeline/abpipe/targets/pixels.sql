-- One row for every icon with a place as the published COCO loader reads it: pixels, cut off. What
-- is far off any picture may be nearer than it was.
SELECT
    row, class_index::INTEGER AS k,
    greatest(least(x_px, 1e9), -1e9)::INTEGER AS x,
    greatest(least(y_px, 1e9), -1e9)::INTEGER AS y
FROM clicks_published
JOIN chosen USING (annotation_id, image_id)
JOIN numbers USING (image_id)
JOIN classes ON class_id = label
WHERE x_px IS NOT NULL AND y_px IS NOT NULL
