-- One row a measure of records: its quantiles, and a histogram. `per_decade` steps of a decade are
-- equal on a logarithmic axis; where it is NULL, the axis is linear with 20 steps to 1.
WITH icons_of AS (
    SELECT annotation_id, count(*) AS n FROM clicks GROUP BY annotation_id
), records AS (
    SELECT
        CASE WHEN tool = 'coco' THEN time_spent_ms WHEN selected THEN estimate_ms END AS time,
        traces.n_moves AS moves,
        duration,
        total_dist / sqrt(stored_width * stored_width + stored_height * stored_height) AS way,
        hull_fraction AS hull,
        n_visits AS visits,
        CASE WHEN tool = 'coco' THEN coalesce(icons_of.n, 0) END AS icons
    FROM annotations
    JOIN traces USING (annotation_id)
    JOIN image_sizes ON image_sizes.image_id = annotations.image_id
    LEFT JOIN icons_of USING (annotation_id)
), measures AS (
    UNPIVOT (SELECT COLUMNS(*)::DOUBLE FROM records) ON COLUMNS(*) INTO NAME measure VALUE value
), stepped AS (
    SELECT
        measure, value,
        CASE WHEN measure IN ('time', 'duration', 'way') THEN 10 WHEN measure <> 'hull' THEN 5 END
            AS per_decade,
        CASE WHEN per_decade IS NULL THEN floor(20 * least(value, 0.999))
            WHEN value > 0 THEN floor(per_decade * log10(value)) END AS step
    FROM measures
), steps AS (
    SELECT measure, per_decade, step, count(*) AS n
    FROM stepped WHERE step IS NOT NULL
    GROUP BY ALL
), histograms AS (
    SELECT measure, per_decade, list({'step': step::BIGINT, 'n': n} ORDER BY step) AS steps
    FROM steps GROUP BY ALL
), quantiles AS (
    SELECT
        measure,
        count(*) AS n,
        count(*) FILTER (value <= 0) AS zero,
        quantile_cont(value, [0.1, 0.5, 0.9]) AS tenths,
        min(value) AS lowest,
        max(value) AS highest
    FROM stepped GROUP BY measure
)
SELECT
    measure, n, (SELECT count(*) FROM records) - n AS missing, zero,
    tenths[1] AS p10, tenths[2] AS p50, tenths[3] AS p90, lowest, highest,
    per_decade, steps
FROM quantiles LEFT JOIN histograms USING (measure)
ORDER BY list_position(['time', 'moves', 'duration', 'way', 'hull', 'visits', 'icons'], measure)
