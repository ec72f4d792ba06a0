-- One row for every kind of answer, overall and of each class, annotator and size of object. Rates
-- are over what is judged; coverage says how much of all that is.
WITH sized AS (
    SELECT
        *,
        CASE WHEN object_px < 32 ** 2 THEN 'small'
            WHEN object_px < 96 ** 2 THEN 'medium'
            WHEN object_px IS NOT NULL THEN 'large' END AS size
    FROM localization
)
SELECT
    what,
    CASE WHEN grouping(label) = 0 THEN 'class'
        WHEN grouping(annotator_id) = 0 THEN 'annotator'
        WHEN grouping(size) = 0 THEN 'size'
        ELSE 'all' END AS "of",
    coalesce(label, annotator_id, size, '') AS name,
    count(*) AS n,
    count(*) FILTER (n_objects > 0) AS n_judged,
    n_judged / n AS coverage,
    avg(inside::INT) AS inside_rate,
    avg(inside_mask::INT) AS inside_mask_rate,
    avg((iou >= 0.5)::INT) AS corloc,
    avg(iou) AS mean_iou,
    median(distance) AS median_distance,
    avg(energy) AS energy,
    avg(nss) AS nss,
    avg(auc) AS auc,
    avg(cc) AS cc,
    avg(kl) AS kl,
    avg(sim) AS sim,
    dataset
FROM sized
GROUP BY GROUPING SETS (
    (dataset, what), (dataset, what, label), (dataset, what, annotator_id), (dataset, what, size)
)
