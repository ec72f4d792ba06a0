-- Annotators: whoever is flagged first, then by how much they did.
SELECT * FROM annotators
ORDER BY len(flags) = 0, n_records DESC, annotator_id
LIMIT 5000
