"""Questions that both engines must answer with the same bytes, each by what is special in it."""

QUESTIONS = {
    "CTR by ad and day": """
        SELECT i.ad_id, i.date AS day, count(*) AS impressions, count(c.impression_id) AS clicks,
               count(c.impression_id) / count(*) AS ctr
        FROM ad_impressions i
        LEFT JOIN (SELECT DISTINCT impression_id FROM clicks WHERE clicked) c ON c.impression_id = i.impression_id
        GROUP BY i.ad_id, i.date ORDER BY i.ad_id, day""",
    "clicks per device by hour": """
        SELECT date_trunc('hour', c.timestamp) AS hour, device_type, count(*) AS clicks
        FROM clicks c JOIN ad_impressions i ON i.impression_id = c.impression_id
        WHERE clicked GROUP BY date_trunc('hour', c.timestamp), device_type ORDER BY hour, device_type""",
    "predictions and outcomes": """
        WITH outcomes AS (SELECT impression_id, max(clicked) AS clicked FROM clicks GROUP BY impression_id)
        SELECT p.model_version, count(*) AS predictions, avg(p.probability) AS expected,
               avg(CASE WHEN o.clicked THEN 1 ELSE 0 END) AS observed, sum(p.position) AS positions
        FROM model_predictions p LEFT JOIN outcomes o ON o.impression_id = p.impression_id
        GROUP BY p.model_version ORDER BY p.model_version""",
    "a map lookup": """
        SELECT impression_id, features['price'] AS price, features['none'] AS nothing FROM ad_impressions
        ORDER BY impression_id""",
    "all columns": "SELECT * FROM ad_impressions ORDER BY impression_id",
    "predictions as logged": "SELECT * FROM model_predictions ORDER BY prediction_id",
    "nulls where the query says": "SELECT position FROM ad_impressions ORDER BY position DESC NULLS FIRST",
    "nulls where it does not": "SELECT position, request_id FROM ad_impressions ORDER BY request_id, impression_id",
    "decimals and lengths of time": """
        SELECT CAST(0.5 AS DECIMAL(10, 3)) AS share, max(c.timestamp) - min(i.timestamp) AS took, true AS yes
        FROM clicks c JOIN ad_impressions i ON i.impression_id = c.impression_id""",
    "lists": "SELECT array_agg(timestamp) AS times, array_agg(propensity) AS shares FROM ad_impressions "
    "WHERE impression_id = 'i-4'",
    "the contract's words": "SELECT * FROM columns ORDER BY table_name, column_name",
    "a table that was never written": "SELECT * FROM labels",
    "a column that is newer than the table": "SELECT detail, rows_checked FROM validation_results",
}
