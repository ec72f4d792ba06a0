-- One row a picture: its stored size, and how browsers turned it. The first that says a size is
-- believed: the picture's own file, COCO's instances or the XML's <size>, the browsers' natural
-- size. Browsers follow EXIF and the others do not, so a natural size tells a turn by 90 degrees.
WITH files AS (
    SELECT
        image_id, dataset,
        arg_min({w: stored_width, h: stored_height}, (source, path)) AS size,
        arg_min(coalesce(exif_orientation, 1), (source, path)) AS exif
    FROM pictures
    WHERE stored_width > 0 AND stored_height > 0
    GROUP BY image_id, dataset
), recorded AS (
    SELECT
        image_id, dataset,
        arg_min({w: width, h: height}, source) FILTER (width > 0 AND height > 0) AS size
    FROM images
    GROUP BY image_id, dataset
), shown AS (
    SELECT
        image_id, dataset,
        list({w: natural_width, h: natural_height}) AS sizes,
        arg_min({w: natural_width, h: natural_height}, annotation_id) AS size
    FROM annotations
    WHERE natural_width > 0 AND natural_height > 0
    GROUP BY image_id, dataset
), sets AS (
    SELECT dataset, bool_or(category_id IS NOT NULL) AS is_coco FROM classes GROUP BY dataset
), best AS (
    SELECT
        image_id, dataset, exif, coalesce(sizes, []) AS sizes,
        coalesce(files.size, recorded.size, shown.size) AS size,
        CASE WHEN files.size IS NOT NULL THEN 'picture'
            WHEN recorded.size IS NULL THEN if(sizes IS NULL, NULL, 'natural')
            WHEN is_coco THEN 'instances'
            ELSE 'xml' END AS origin
    FROM recorded
    FULL JOIN files USING (image_id, dataset)
    LEFT JOIN shown USING (image_id, dataset)
    LEFT JOIN sets USING (dataset)
), fitted AS (
    -- how each natural size fits the stored one: upright, turned by 90 degrees, both, or neither
    SELECT
        *,
        list_transform(sizes, lambda s: (
            same_shape(s.w, s.h, size.w, size.h), same_shape(s.w, s.h, size.h, size.w)
        )) AS fits
    FROM best
), counted AS (
    SELECT
        *,
        len(list_filter(fits, lambda fit: fit = (true, false))) AS n_upright,
        len(list_filter(fits, lambda fit: fit = (false, true))) AS n_turned,
        len(list_filter(fits, lambda fit: fit = (false, false))) AS n_strange
    FROM fitted
)
SELECT
    image_id,
    size.w AS stored_width,
    size.h AS stored_height,
    CASE WHEN n_turned > n_upright AND coalesce(exif, 1) < 5 THEN 6
        WHEN n_upright > n_turned AND exif >= 5 THEN 1
        WHEN size IS NOT NULL THEN coalesce(exif, 1) END AS orientation,
    origin,
    CASE WHEN size IS NULL OR n_strange > n_upright + n_turned THEN 'unknown'
        WHEN n_strange > 0 OR n_upright > 0 AND n_turned > 0 THEN 'assumed'
        WHEN exif >= 5 AND n_upright > 0 OR exif < 5 AND n_turned > 0 THEN 'assumed'
        WHEN origin = 'picture' OR origin <> 'natural' AND n_upright > 0 THEN 'ok'
        ELSE 'assumed' END AS frame,
    dataset
FROM counted
