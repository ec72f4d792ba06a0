-- How often boxes of traces overlap with the object so much: 20 steps of IoU.
SELECT what, least(floor(20 * iou), 19)::BIGINT AS step, count(*) AS n
FROM localization
WHERE iou IS NOT NULL
GROUP BY ALL
ORDER BY ALL
