-- One row for every click, every kind of box and every dwell map: how well it tells where the
-- objects of its class are. What has no ground truth has a row, too, without scores.
WITH records AS (
    SELECT annotation_id, annotations.image_id, class_id AS label, annotations.dataset
    FROM annotations JOIN images USING (image_id, source, dataset)
    WHERE class_id IS NOT NULL
), truth AS (
    SELECT
        image_id, label, dataset, stored_width, stored_height,
        list({'xmin': xmin, 'ymin': ymin, 'xmax': xmax, 'ymax': ymax} ORDER BY source, object_no)
            AS boxes
    FROM ground_truth
    WHERE NOT is_crowd AND image_id IN (SELECT image_id FROM records)
    GROUP BY ALL
), maps AS (
    SELECT
        annotation_id,
        any_value(stored_width) AS stored_width,
        any_value(stored_height) AS stored_height,
        map_scores(
            flatten(list(x_px ORDER BY visit)),
            flatten(list(y_px ORDER BY visit)),
            flatten(list(dwell_ms ORDER BY visit)),
            any_value(stored_width), any_value(stored_height), any_value(boxes)
        ) AS scores
    FROM visits
    JOIN records USING (annotation_id)
    JOIN truth
        ON (truth.image_id, truth.label, truth.dataset)
            = (records.image_id, records.label, records.dataset)
    GROUP BY annotation_id
), answers AS (
    SELECT annotation_id, image_id, label, dataset, 'click' AS what, x_px AS x, y_px AS y
    FROM clicks
    UNION ALL BY NAME
    SELECT
        annotation_id, image_id, label, dataset, kind AS what,
        (xmin + xmax) / 2 AS x, (ymin + ymax) / 2 AS y, xmin, ymin, xmax, ymax
    FROM boxes
    WHERE label <> ''
    UNION ALL BY NAME
    SELECT
        annotation_id, records.image_id, label, records.dataset, 'map' AS what,
        scores.peak_x * stored_width AS x, scores.peak_y * stored_height AS y, scores
    FROM records
    SEMI JOIN (FROM visits WHERE n_moves > 0) USING (annotation_id)
    LEFT JOIN maps USING (annotation_id)
), compared AS (
    SELECT
        answers.*,
        is_crowd,
        (truth.xmax - truth.xmin) * (truth.ymax - truth.ymin) AS object_px,
        x BETWEEN truth.xmin AND truth.xmax AND y BETWEEN truth.ymin AND truth.ymax AS in_box,
        CASE WHEN mask IS NOT NULL
            THEN in_box AND inside_mask(CASE WHEN in_box THEN mask END, x / scale_x, y / scale_y)
        END AS in_mask,
        sqrt(
            (x - (truth.xmin + truth.xmax) / 2) ** 2 + (y - (truth.ymin + truth.ymax) / 2) ** 2
        ) / nullif(
            sqrt((truth.xmax - truth.xmin) ** 2 + (truth.ymax - truth.ymin) ** 2), 0
        ) AS away,
        greatest(least(answers.xmax, truth.xmax) - greatest(answers.xmin, truth.xmin), 0)
            * greatest(least(answers.ymax, truth.ymax) - greatest(answers.ymin, truth.ymin), 0)
            AS common,
        common / nullif(
            object_px + (answers.xmax - answers.xmin) * (answers.ymax - answers.ymin) - common, 0
        ) AS overlap
    FROM answers
    LEFT JOIN ground_truth AS truth USING (image_id, label, dataset)
    LEFT JOIN objects
        ON what = 'click' AND mask IS NOT NULL
        AND (objects.image_id, objects.source, objects.object_no, objects.dataset)
            = (truth.image_id, truth.source, truth.object_no, truth.dataset)
)
SELECT
    annotation_id, compared.image_id, annotator_id, label, what,
    count(is_crowd) AS n_objects,
    bool_or(in_box) AS inside,
    bool_or(in_mask) AS inside_mask,
    max(overlap) FILTER (NOT is_crowd) AS iou,
    min(away) FILTER (NOT is_crowd) AS distance,
    arg_min(object_px, away) FILTER (NOT is_crowd) AS object_px,
    any_value(scores.energy) AS energy,
    any_value(scores.nss) AS nss,
    any_value(scores.auc) AS auc,
    any_value(scores.cc) AS cc,
    any_value(scores.kl) AS kl,
    any_value(scores.sim) AS sim,
    compared.dataset
FROM compared JOIN annotations USING (annotation_id)
GROUP BY annotation_id, compared.image_id, annotator_id, label, what, compared.dataset
