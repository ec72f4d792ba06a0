-- note: the picture had not loaded: a size of 0
SELECT
    annotation_id, dataset,
    0 IN (natural_width, natural_height, display_width, display_height) AS found
FROM annotations
