-- How each rate lies among annotators with 30 answers or more, as a box plot by Tukey (1977): its
-- whiskers reach to the last value within 1.5 interquartile ranges. Outliers lie 3 of them out, and
-- a tenth (of pace_z: 1) at least: where all are nearly the same, little is far.
WITH rates AS (
    UNPIVOT (
        SELECT
            annotator_id, pace_z, hurried_rate, spot_rate, no_trace_rate, straight_rate, jump_rate,
            far_rate, miss_rate, edge_rate
        FROM annotators WHERE n_answered >= 30
    ) ON COLUMNS(* EXCLUDE annotator_id) INTO NAME rate VALUE value
), quarters AS (
    SELECT rate, count(*) AS n, quantile_cont(value, [0.25, 0.5, 0.75]) AS q
    FROM rates GROUP BY rate
), fences AS (
    SELECT
        rate, n, q[1] AS q1, q[2] AS median, q[3] AS q3, q3 - q1 AS iqr,
        greatest(3 * iqr, if(rate = 'pace_z', 1, 0.1)) AS reach
    FROM quarters
)
SELECT
    rate, n, q1, median, q3,
    min(value) FILTER (value >= q1 - 1.5 * iqr) AS low,
    max(value) FILTER (value <= q3 + 1.5 * iqr) AS high,
    coalesce(
        list({'annotator_id': annotator_id, 'value': value} ORDER BY abs(value - median) DESC, annotator_id)
            FILTER (value NOT BETWEEN q1 - reach AND q3 + reach),
        []
    )[:500] AS outliers
FROM rates JOIN fences USING (rate)
GROUP BY ALL
ORDER BY rate
