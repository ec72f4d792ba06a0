-- One row a reason for which something could not be read, with its first example.
SELECT
    level, code,
    count(*) AS n,
    arg_min(message, (source, reject_no)) AS message,
    arg_min(source, (source, reject_no)) AS source,
    arg_min(member, (source, reject_no)) AS member,
    arg_min("offset", (source, reject_no)) AS "offset",
    sum(raw_bytes)::BIGINT AS bytes
FROM rejects
GROUP BY ALL
ORDER BY n DESC, level, code
LIMIT 100
