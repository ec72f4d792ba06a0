-- One row for every label of a picture, as in image_targets, with its class, the picture's size and
-- its part of the split; a picture without labels has a row, too.
SELECT
    image_id, targets.* EXCLUDE (image_id, dataset),
    class_index, category_id,
    stored_width AS width, stored_height AS height,
    part AS split
FROM numbers
LEFT JOIN targets USING (image_id)
LEFT JOIN classes ON class_id = label
LEFT JOIN image_sizes USING (image_id)
LEFT JOIN parts USING (row)
ORDER BY row, label
