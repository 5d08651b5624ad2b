from pipeline.cleaning import clean, normal


def test_what_no_database_takes_as_text_is_replaced_and_all_else_stays():
    assert clean("cut \ud83d, null \0.") == "cut \ufffd, null ."
    assert clean("备份 🙂\n\tend ‮") == "备份 🙂\n\tend ‮"
    clean("\ud800\udfff").encode("utf-8")


def test_queries_that_differ_in_blanks_or_case_are_the_same():
    assert normal("  How DO\u00a0I\n\tstart? ") == normal("how do i start?")
    assert normal("How do I start?") != normal("How do I stop?")


def test_queries_that_differ_in_the_mark_at_their_end_are_the_same():
    for text in ("How do I start", "How do I start ?", "How do I start?!", "how do I start…", "How do I start？"):
        assert normal(text) == normal("How do I start?")
    assert len({normal(text) for text in ("What is C?", "What is C++?", "What is C#?")}) == 3
    assert normal("?") != normal("!") != ""
