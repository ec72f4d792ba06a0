-- The answers that fit their object best, and those that are farthest off: of four people each.
WITH best AS (
    SELECT 'best' AS which, max_by(localization, (coalesce(iou, -distance), -annotation_id)) AS it
    FROM localization
    WHERE distance IS NOT NULL
        AND what = if(EXISTS (FROM localization WHERE what = 'core' AND iou > 0), 'core', 'click')
    GROUP BY annotator_id
), worst AS (
    SELECT 'worst' AS which, max_by(localization, (distance, -annotation_id)) AS it
    FROM localization
    WHERE what = 'click' AND NOT inside AND distance IS NOT NULL
    GROUP BY annotator_id
), chosen AS (
    (FROM best ORDER BY coalesce(it.iou, -it.distance) DESC, it.annotation_id LIMIT 4)
    UNION ALL
    (FROM worst ORDER BY it.distance DESC, it.annotation_id LIMIT 4)
), few AS (
    SELECT
        which, it.annotation_id, it.image_id, it.annotator_id, it.label, it.iou, it.distance
    FROM chosen
)
SELECT
    few.*,
    stored_width AS width,
    stored_height AS height,
    (
        SELECT list({'t': t_ms, 'x': x_px, 'y': y_px} ORDER BY visit)
        FROM visits WHERE visits.annotation_id = few.annotation_id
    ) AS visits,
    (
        SELECT list({'label': label, 'x': x_px, 'y': y_px} ORDER BY label)
        FROM clicks WHERE clicks.annotation_id = few.annotation_id
    ) AS clicks,
    (
        SELECT list([xmin, ymin, xmax, ymax] ORDER BY object_no)
        FROM ground_truth
        WHERE (ground_truth.image_id, ground_truth.label) = (few.image_id, few.label)
    ) AS truth,
    (
        SELECT list([xmin, ymin, xmax, ymax])
        FROM boxes
        WHERE (boxes.annotation_id, boxes.label) = (few.annotation_id, few.label) AND kind = 'core'
    ) AS core
FROM few JOIN image_sizes USING (image_id)
ORDER BY which, coalesce(-iou, distance), annotation_id
