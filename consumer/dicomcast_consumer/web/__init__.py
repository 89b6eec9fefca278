"""`dicomcast-consumer web`: the group as a person sees it, read-only, in a process of its own.

    command            the command line
    serve              the process: sampler, page, until a signal
    sampler            the thread that asks Kafka and the members every few seconds; what it found is one value
    shelf              the dead letters, read again only when there are new ones
    study_io           one study: its events on the topic, what FHIR holds, what differs
    app, guard         the routes; what no answer goes without: headers, the Host check, no traceback
    history, chart, members, overview, letters_view, study_view, wording   pure: what is shown
    templates, static  Jinja2 with autoescape; one stylesheet, one small script, one icon

No patient's value is shown anywhere: UIDs, codes and counts only, as in `dlq show` without `--metadata`.
"""
