-- One row for every picture: its class, its size, and what its labels have in common.
WITH own AS (
    SELECT image_id, arg_min(class_id, source) AS class_id FROM images GROUP BY image_id
), common AS (
    SELECT
        image_id,
        avg(weight ORDER BY label) FILTER (x IS NOT NULL) AS weight,
        min(box_xmin) AS xmin,
        min(box_ymin) AS ymin,
        max(box_xmax) AS xmax,
        max(box_ymax) AS ymax
    FROM targets
    GROUP BY image_id
)
SELECT
    row,
    coalesce(class_index, -1)::INTEGER AS class_index,
    coalesce(try_cast(stored_width AS INTEGER), 0) AS width,
    coalesce(try_cast(stored_height AS INTEGER), 0) AS height,
    weight,
    xmin / stored_width AS xmin,
    ymin / stored_height AS ymin,
    xmax / stored_width AS xmax,
    ymax / stored_height AS ymax
FROM numbers
LEFT JOIN own USING (image_id)
LEFT JOIN classes USING (class_id)
LEFT JOIN image_sizes USING (image_id)
LEFT JOIN common USING (image_id)
