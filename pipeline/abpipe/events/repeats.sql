-- The places of the new rows that an earlier row has said, of the source or of the dataset.
-- Reads `new_rows` and `known_rows`: what a row says, without where it was said.
WITH told AS (
    SELECT place, md5(row(*COLUMNS(* EXCLUDE place))::VARCHAR) AS content FROM new_rows
    UNION ALL
    SELECT NULL, md5(row(*COLUMNS(*))::VARCHAR) FROM known_rows
)
SELECT place
FROM told
QUALIFY place IS NOT NULL
    AND row_number() OVER (PARTITION BY content ORDER BY place NULLS FIRST) > 1
ORDER BY place
