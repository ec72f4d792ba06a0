-- The answers that fit their object best, and those that are farthest off: of four people each.
WITH judged AS (
    SELECT
        what, annotator_id, inside, iou, distance,
        {
            'annotation_id': annotation_id, 'image_id': image_id, 'label': label, 'iou': iou,
            'distance': distance
        } AS it
    FROM localization
    WHERE distance IS NOT NULL AND what IN ('click', 'core')
), best AS (
    SELECT
        'best' AS which, annotator_id,
        max_by(it, (coalesce(iou, -distance), -it.annotation_id)) AS it
    FROM judged
    WHERE what = if(EXISTS (FROM judged WHERE what = 'core' AND iou > 0), 'core', 'click')
    GROUP BY annotator_id
), worst AS (
    SELECT 'worst' AS which, annotator_id, max_by(it, (distance, -it.annotation_id)) AS it
    FROM judged
    WHERE what = 'click' AND NOT inside
    GROUP BY annotator_id
), few AS (
    SELECT which, annotator_id, unnest(it)
    FROM (
        (FROM best ORDER BY coalesce(it.iou, -it.distance) DESC, it.annotation_id LIMIT 4)
        UNION ALL
        (FROM worst ORDER BY it.distance DESC, it.annotation_id LIMIT 4)
    )
), traced AS (
    SELECT annotation_id, list({'t': t_ms, 'x': x_px, 'y': y_px} ORDER BY visit) AS visits
    FROM visits
    WHERE annotation_id IN (SELECT annotation_id FROM few)
    GROUP BY annotation_id
), clicked AS (
    SELECT annotation_id, list({'label': label, 'x': x_px, 'y': y_px} ORDER BY label) AS clicks
    FROM clicks
    WHERE annotation_id IN (SELECT annotation_id FROM few)
    GROUP BY annotation_id
), objects_of AS (
    SELECT image_id, label, list([xmin, ymin, xmax, ymax] ORDER BY object_no) AS truth
    FROM ground_truth
    WHERE image_id IN (SELECT image_id FROM few)
    GROUP BY image_id, label
), cores AS (
    SELECT annotation_id, label, [[xmin, ymin, xmax, ymax]] AS core
    FROM boxes
    WHERE kind = 'core' AND annotation_id IN (SELECT annotation_id FROM few)
)
SELECT
    few.*, stored_width AS width, stored_height AS height, visits, clicks, truth, core
FROM few
JOIN image_sizes USING (image_id)
LEFT JOIN traced USING (annotation_id)
LEFT JOIN clicked USING (annotation_id)
LEFT JOIN objects_of USING (image_id, label)
LEFT JOIN cores USING (annotation_id, label)
ORDER BY which, coalesce(-iou, distance), annotation_id
