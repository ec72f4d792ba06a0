-- warning: the stored height is not the one that the picture was shown with
SELECT annotation_id, dataset, display_height % grid_height <> 0 AS found
FROM annotations
JOIN audit USING (annotation_id, dataset)
WHERE display_height > 0 AND grid_height > 0
