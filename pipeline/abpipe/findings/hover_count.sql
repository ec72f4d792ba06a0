-- note: the stored number of hovers is not that of the recorded ones
SELECT annotation_id, dataset, hover_count <> n_hovers AS found
FROM annotations
JOIN audit USING (annotation_id, dataset)
WHERE hover_count IS NOT NULL
