-- One row for every record and picture that a condition is asked of; a picture without a record has
-- a row, too.
SELECT
    image_sizes.*,
    images.* EXCLUDE (image_id, dataset, source, member, extra),
    annotations.* EXCLUDE (image_id, dataset)
FROM image_sizes
LEFT JOIN images USING (image_id, dataset)
LEFT JOIN annotations USING (image_id, source, dataset)
