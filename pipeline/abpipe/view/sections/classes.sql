-- One row a class that has pictures or answers: how many, and how good the answers are.
SELECT
    if(label = '', 'unknown', label) AS class,
    classes.name,
    count(*) AS pictures,
    count(x) AS placed,
    count(x) / count(*) AS placed_share,
    sum(n_annotators)::BIGINT AS answers,
    avg(agreement) AS agreement,
    avg(spread) AS spread,
    avg(weight) AS weight,
    any_value(clicked.n_judged) AS n_judged,
    any_value(clicked.inside_rate) AS inside_rate,
    any_value(core.mean_iou) AS core_iou
FROM image_targets
LEFT JOIN classes ON class_id = label
LEFT JOIN (FROM localization_scores WHERE what = 'click' AND "of" = 'class') AS clicked
    ON clicked.name = label
LEFT JOIN (FROM localization_scores WHERE what = 'core' AND "of" = 'class') AS core
    ON core.name = label
GROUP BY ALL
ORDER BY class
