-- The objects of the pictures that have a row; those that a later file of the picture repeats once
-- only, the others numbered on. Reads `new_objects` and `kept_images`.
WITH boxed AS (
    SELECT
        *,
        row(*COLUMNS(* EXCLUDE (image_id, source, member, place)))::VARCHAR AS box
    FROM new_objects
    WHERE image_id IN (SELECT image_id FROM kept_images)
    QUALIFY row_number() OVER (PARTITION BY image_id, member, box ORDER BY place) = 1
),
files AS (
    SELECT image_id, member
    FROM boxed
    GROUP BY image_id, member
    QUALIFY row_number() OVER (
        PARTITION BY image_id, list(box ORDER BY object_no) ORDER BY min(place)
    ) = 1
)
SELECT
    * EXCLUDE (place, box, object_no),
    row_number() OVER (PARTITION BY image_id ORDER BY place) - 1 AS object_no
FROM boxed
SEMI JOIN files ON boxed.image_id = files.image_id
    AND boxed.member IS NOT DISTINCT FROM files.member
ORDER BY place
