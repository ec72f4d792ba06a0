-- warning: times that go back within a list of events: the annotator's clock was set
SELECT annotation_id, dataset, steps_back > 0 AS found
FROM audit
WHERE steps_back IS NOT NULL
