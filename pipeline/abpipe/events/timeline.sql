-- One row an event, in one order for all kinds of a record. At equal times the mouse first enters,
-- then moves, then acts, then leaves. Ties go by place in the list, so two runs agree.
SELECT
    annotation_id,
    row_number() OVER in_time - 1 AS position,
    t_ms - min(t_ms) OVER (PARTITION BY annotation_id) AS t_rel_ms,
    image_id, kind, seq, t_ms, x, y, x_from, y_from, label, category_index, keyboard, dataset
FROM events
WINDOW in_time AS (
    PARTITION BY annotation_id
    ORDER BY t_ms NULLS LAST,
        list_position(
            ['enter', 'move', 'click', 'add', 'drag', 'remove', 'browse', 'leave'], kind
        ),
        seq
)
