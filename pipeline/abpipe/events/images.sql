-- One row a picture of the new source. Later files of the same picture join its first row, whose
-- `extra` keeps what they say otherwise. A picture that brought nothing new has no row.
-- Reads `new_images`, `new_objects`, `new_counts`, and what other sources have: `images`, `objects`.
WITH about AS (
    SELECT
        *,
        row_number() OVER same AS occurrence,
        row(class_id, width, height, depth, segmented, extra)::VARCHAR AS header
    FROM new_images
    WINDOW same AS (PARTITION BY image_id ORDER BY place)
),
first AS (
    FROM about WHERE occurrence = 1
),
boxes AS (
    SELECT image_id, member, list(boxed ORDER BY object_no)::VARCHAR AS boxes
    FROM (
        SELECT
            image_id, member, object_no,
            md5(row(*COLUMNS(* EXCLUDE (image_id, source, member, place)))::VARCHAR) AS boxed
        FROM new_objects
    )
    GROUP BY image_id, member
),
repeats AS (
    SELECT
        about.image_id,
        list({
            'member': about.member,
            'image': CASE WHEN about.header <> first.header THEN {
                'class_id': about.class_id, 'width': about.width, 'height': about.height,
                'depth': about.depth, 'segmented': about.segmented, 'extra': about.extra
            } END,
            'has_objects': boxes IS NOT NULL
        } ORDER BY about.place) AS repeats
    FROM about
    JOIN first USING (image_id)
    LEFT JOIN boxes ON about.image_id = boxes.image_id AND about.member = boxes.member
    WHERE about.occurrence > 1 AND about.member IS NOT NULL
    GROUP BY about.image_id
),
known AS (
    SELECT
        image_id, row(class_id, width, height, depth, segmented, extra)::VARCHAR AS header,
        coalesce(boxes, '') AS boxes
    FROM images
    LEFT JOIN (
        SELECT image_id, source, list(boxed ORDER BY object_no)::VARCHAR AS boxes
        FROM (
            SELECT
                image_id, source, object_no,
                md5(row(*COLUMNS(* EXCLUDE (image_id, source, member, dataset)))::VARCHAR) AS boxed
            FROM objects
            WHERE image_id IN (SELECT image_id FROM new_images)
        )
        GROUP BY image_id, source
    ) USING (image_id, source)
    WHERE image_id IN (SELECT image_id FROM new_images)
)
SELECT
    first.* EXCLUDE (occurrence, header, place, n_annotations, extra),
    coalesce(n, 0) AS n_annotations,
    CASE WHEN repeats IS NULL THEN extra
        ELSE json_merge_patch(coalesce(extra, '{}'), to_json({'repeats': repeats}))::VARCHAR
    END AS extra
FROM first
LEFT JOIN boxes USING (image_id, member)
LEFT JOIN repeats USING (image_id)
LEFT JOIN new_counts USING (image_id)
WHERE n > 0 OR repeats IS NOT NULL
    OR (image_id, header, coalesce(boxes, '')) NOT IN (FROM known)
ORDER BY place
