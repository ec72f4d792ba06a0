-- One row for every record: what its events say of what is stored beside them. Fractions are whole
-- pixels divided by a whole size, so that all of a record's fractions tell a divisor of the size; the
-- shape of the picture and the height tell which multiple it is. ImageNet's tool keeps the shape;
-- COCO's board is at most 880 wide, and stretches the picture.
WITH told AS (
    SELECT
        annotation_id,
        pixel_grid(list(x) FILTER (x IS NOT NULL))::BIGINT AS grid_width,
        pixel_grid(list(y) FILTER (y IS NOT NULL))::BIGINT AS grid_height,
        least(min(x), min(y)) AS lowest,
        greatest(max(x), max(y)) AS highest,
        min(t_ms) AS first_ms,
        max(t_ms) AS last_ms,
        steps_back(
            list(ascii(kind)::UTINYINT) FILTER (t_ms IS NOT NULL),
            list(seq) FILTER (t_ms IS NOT NULL),
            list(t_ms) FILTER (t_ms IS NOT NULL)
        )::BIGINT AS steps_back,
        count(*) FILTER (kind = 'enter') AS n_hovers,
        count(*) FILTER (kind = 'click') AS n_clicks
    FROM events
    GROUP BY annotation_id
), boards AS (
    SELECT annotation_id, max(n_icons)::BIGINT AS most_icons
    FROM (
        SELECT
            annotation_id,
            sum(if(kind = 'add', 1, -1)) OVER (PARTITION BY annotation_id ORDER BY seq) AS n_icons
        FROM events
        WHERE kind IN ('add', 'remove')
    )
    GROUP BY annotation_id
), shapes AS (
    SELECT
        annotation_id, image_id, tool, display_height, dataset,
        CASE WHEN natural_height > 0 AND natural_width > 0 AND display_height > 0
            THEN natural_width / natural_height END AS shape,
        least(display_height * shape, if(tool = 'coco', 880, NULL)) AS expected_width
    FROM annotations
), sizes AS (
    SELECT
        *,
        round(expected_width / grid_width) * grid_width AS nearest_width,
        round(display_height / grid_height) * grid_height AS nearest_height
    FROM shapes
    LEFT JOIN told USING (annotation_id)
    LEFT JOIN boards USING (annotation_id)
)
SELECT
    annotation_id, image_id, grid_width, grid_height, expected_width,
    -- a pixel of the height, times the shape, and a pixel of the width
    CASE WHEN abs(nearest_width - expected_width) <= 1 + shape THEN nearest_width::BIGINT END
        AS shown_width,
    CASE WHEN abs(nearest_height - display_height) <= 1 THEN nearest_height::BIGINT END
        AS shown_height,
    coalesce(most_icons, 0) AS most_icons,
    tool = 'coco' AND coalesce(most_icons, 0) >= 11 AND expected_width >= 879.5 AS shrank,
    lowest, highest, first_ms, last_ms, steps_back,
    coalesce(n_hovers, 0) AS n_hovers,
    coalesce(n_clicks, 0) AS n_clicks,
    dataset
FROM sizes
