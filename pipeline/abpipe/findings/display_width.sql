-- warning: the stored width is not the one that the picture was shown with
-- The published archives repeat the height there. A true width is a multiple of the record's grid,
-- and has the picture's shape.
SELECT
    annotation_id, dataset,
    coalesce(display_width % grid_width <> 0, false)
        OR abs(display_width - expected_width) > 1 + natural_width / natural_height AS found
FROM annotations
JOIN audit USING (annotation_id, dataset)
WHERE display_width > 0 AND expected_width > 0
