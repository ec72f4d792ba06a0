-- One row for every ground-truth object, its box in pixels of the stored picture: as recorded, and
-- scaled where the picture is stored in another size than the object's source says.
SELECT
    objects.image_id, objects.source, object_no,
    objects.class_id AS label,
    xmin * scale_x AS xmin,
    ymin * scale_y AS ymin,
    xmax * scale_x AS xmax,
    ymax * scale_y AS ymax,
    coalesce(iscrowd, 0) = 1 AS is_crowd,
    stored_width, stored_height, scale_x, scale_y, objects.dataset
FROM objects
JOIN (
    SELECT
        image_id, source, images.dataset, stored_width, stored_height,
        coalesce(stored_width / nullif(width, 0), 1) AS scale_x,
        coalesce(stored_height / nullif(height, 0), 1) AS scale_y
    FROM images JOIN image_sizes USING (image_id, dataset)
) AS scales USING (image_id, source, dataset)
WHERE xmin <= xmax AND ymin <= ymax
