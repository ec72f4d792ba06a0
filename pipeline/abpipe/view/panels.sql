-- One row for every record that is wanted, and for every wanted picture without one, in order, with
-- lists of all that is drawn of it. Places are in pixels of the stored picture.
WITH sizes AS (
    SELECT DISTINCT image_id, dataset, stored_width, stored_height, orientation
    FROM image_sizes SEMI JOIN wanted USING (image_id, dataset)
), begins AS (
    SELECT annotation_id, min(t_ms) AS begin_ms
    FROM events SEMI JOIN wanted USING (annotation_id)
    GROUP BY annotation_id
), ways AS (
    SELECT
        annotation_id,
        list({t_ms: t_ms, x: x_px, y: y_px, dwell_ms: dwell_ms} ORDER BY visit) AS visits,
        dwell_map(
            flatten(list(x_px ORDER BY visit)),
            flatten(list(y_px ORDER BY visit)),
            flatten(list(dwell_ms ORDER BY visit)),
            any_value(stored_width), any_value(stored_height), $rows, $columns
        ) AS dwell
    FROM visits
    SEMI JOIN wanted USING (annotation_id)
    JOIN sizes USING (image_id, dataset)
    WHERE n_moves > 0 AND x_px IS NOT NULL
    GROUP BY annotation_id
), acts AS (
    SELECT
        annotation_id,
        list({
            kind: kind, label: label, t_ms: t_ms,
            x: stored_x(x, y, orientation) * stored_width,
            y: stored_y(x, y, orientation) * stored_height,
            x_from: stored_x(x_from, y_from, orientation) * stored_width,
            y_from: stored_y(x_from, y_from, orientation) * stored_height
        } ORDER BY t_ms, seq) AS actions
    FROM events
    SEMI JOIN wanted USING (annotation_id)
    JOIN sizes USING (image_id, dataset)
    WHERE kind IN ('click', 'add', 'drag', 'remove') AND t_ms IS NOT NULL
    GROUP BY annotation_id
), ends AS (
    SELECT
        annotation_id,
        list({label: label, x: x, y: y, is_final: is_final} ORDER BY t_ms, label) AS answers
    FROM (
        SELECT annotation_id, '' AS label, x_px AS x, y_px AS y, true AS is_final, t_ms
        FROM clicks SEMI JOIN wanted USING (annotation_id)
        WHERE category_id IS NULL
        UNION ALL BY NAME
        SELECT
            annotation_id, label, x * stored_width AS x, y * stored_height AS y, is_final,
            first_ms AS t_ms
        FROM icons SEMI JOIN wanted USING (annotation_id) JOIN sizes USING (image_id, dataset)
    )
    WHERE x IS NOT NULL AND y IS NOT NULL
    GROUP BY annotation_id
), truths AS (
    -- an icon is its class's name; all objects of a picture of ImageNet are of its class
    SELECT image_id, dataset, list({
        kind: 'truth', label: if(category_id IS NULL, '', name),
        xmin: xmin, ymin: ymin, xmax: xmax, ymax: ymax
    } ORDER BY source, object_no) AS truth
    FROM ground_truth
    SEMI JOIN wanted USING (image_id, dataset)
    LEFT JOIN classes ON (classes.class_id, classes.dataset) = (label, ground_truth.dataset)
    GROUP BY image_id, dataset
), named AS (
    SELECT image_id, images.dataset, arg_min(name, source) AS class_name
    FROM images
    SEMI JOIN wanted USING (image_id, dataset)
    JOIN classes ON (classes.class_id, classes.dataset) = (images.class_id, images.dataset)
    GROUP BY image_id, images.dataset
), records AS (
    SELECT annotation_id, annotator_id, page, slot, selected
    FROM annotations SEMI JOIN wanted USING (annotation_id)
), whole AS (
    SELECT
        annotation_id, hull_x, hull_y,
        list_filter([{
            kind: 'trace', label: '',
            xmin: box_xmin, ymin: box_ymin, xmax: box_xmax, ymax: box_ymax
        }, {
            kind: 'core', label: '',
            xmin: core_xmin, ymin: core_ymin, xmax: core_xmax, ymax: core_ymax
        }], lambda box: box.xmin IS NOT NULL) AS boxes
    FROM traces SEMI JOIN wanted USING (annotation_id)
)
SELECT
    image_id, dataset, annotation_id, class_name, annotator_id, page, slot, selected,
    stored_width, stored_height, begin_ms,
    visits, actions, answers, boxes, truth, dwell, hull_x, hull_y
FROM wanted
JOIN sizes USING (image_id, dataset)
LEFT JOIN named USING (image_id, dataset)
LEFT JOIN truths USING (image_id, dataset)
LEFT JOIN records USING (annotation_id)
LEFT JOIN begins USING (annotation_id)
LEFT JOIN ways USING (annotation_id)
LEFT JOIN acts USING (annotation_id)
LEFT JOIN ends USING (annotation_id)
LEFT JOIN whole USING (annotation_id)
ORDER BY place
