-- One row for every icon with a place as the published COCO loader reads it: pixels, cut off.
SELECT row, class_index::INTEGER AS k, x_px::INTEGER AS x, y_px::INTEGER AS y
FROM clicks_published
JOIN chosen USING (annotation_id, image_id)
JOIN numbers USING (image_id)
JOIN classes ON class_id = label
WHERE x_px IS NOT NULL AND y_px IS NOT NULL
