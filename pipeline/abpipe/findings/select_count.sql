-- note: the stored number of selections is not that of the recorded clicks
SELECT annotation_id, dataset, select_count <> n_clicks AS found
FROM annotations
JOIN audit USING (annotation_id, dataset)
WHERE select_count IS NOT NULL
