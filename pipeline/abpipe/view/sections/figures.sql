-- The key figures of a dataset.
SELECT
    (SELECT count(DISTINCT image_id) FROM images) AS pictures,
    (SELECT count(DISTINCT image_id) FROM images WHERE n_annotations > 0) AS annotated,
    count(*) AS records,
    (SELECT count(DISTINCT annotation_id) FROM clicks) AS answered,
    (SELECT count(*) FROM clicks) AS clicks,
    count(*) FILTER (n_moves > 0) AS with_moves,
    sum(n_moves)::BIGINT AS moves,
    (SELECT count(*) FROM annotators) AS annotators,
    (SELECT count(*) FROM annotators WHERE len(flags) > 0) AS flagged,
    (SELECT coalesce(sum(n_records), 0)::BIGINT FROM annotators WHERE len(flags) > 0)
        AS flagged_records,
    (SELECT count(*) FROM conflicts) AS conflicts
FROM traces
