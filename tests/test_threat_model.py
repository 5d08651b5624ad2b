"""The threat model of the handbook: each thing that it says is done has a test, and there is none that it does not say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "pipeline/example/handbook/security.md").read_text(encoding="utf-8")
# What is no claim: what there is to lose, and what is not defended.
SAID = ("What is worth protecting", "What is not defended")
# By the beginning of what the page says, the tests that show it.
CLAIMS = {
    "Every page, listener and address asks who it is": "test_none_of_gradios_own_addresses_answers_nobody "
    "test_every_route_of_our_own_is_for_those_of_its_role",
    "Passwords are kept as slow hashes": "test_passwords_are_kept_as_argon2_hashes_of_the_recommended_strength_and_weaker_ones_"
    "are_renewed test_after_five_failures_an_account_waits_also_on_another_replica_and_after_a_restart",
    "An invitation is a long random code": "test_an_invitation_ends_by_time_by_number_and_by_hand "
    "test_one_address_cannot_try_codes_and_names_for_ever",
    "A session that was ended": "test_a_sign_in_expires_when_it_is_not_used_and_goes_on_when_it_is "
    "test_a_role_that_is_taken_away_and_a_sign_in_that_ends_count_with_the_next_call",
    "A report is opened by a link": "test_of_a_token_only_the_hash_is_stored_and_no_two_are_alike "
    "test_an_unknown_or_withdrawn_token_leads_nowhere_and_says_the_same",
    "The upload of files is for admins": "test_only_admins_bring_files test_an_uploaded_file_is_handed_out_and_runs_nothing",
    "Addresses of Gradio that no page needs": "test_addresses_that_no_page_needs_are_gone "
    "test_what_no_page_of_the_app_needs_is_not_there_for_anybody",
    "Where nobody signs in, the app answers only": "test_where_nobody_signs_in_no_other_name_leads_to_this_machine",
    "Each listener and each address checks": "test_those_who_are_not_allowed_are_refused_in_a_sentence_and_change_nothing",
    "Neither the page of another person": "test_the_page_of_somebody_else_can_neither_be_read_nor_used "
    "test_the_end_of_a_calls_address_is_a_page_too",
    "What a voter is sent before the vote": "test_nothing_that_is_measured_tells_the_model_on_the_left "
    "test_no_ranking_tells_who_wrote_what test_nothing_that_is_sent_before_the_results_are_opened_tells_a_model",
    "An answer that tries to change the page": "test_an_attack_on_one_side_changes_nothing_of_the_other_side",
    "Costly actions are limited": "test_one_person_is_asked_to_wait_in_a_sentence_and_others_are_not "
    "test_screens_and_api_share_an_allowance",
    "A token of the API does what its owner may do": "test_a_token_gets_to_no_listener_of_a_screen "
    "test_each_role_may_do_what_it_may_and_nothing_else test_a_token_that_is_revoked_opens_nothing_from_that_moment_on",
    "What people did stands in the activity log": "test_it_is_told_who_did_what_to_what_newest_first",
    "Text is shown as text": "test_no_name_and_no_text_of_a_hostile_workspace_does_anything_on_a_tab "
    "test_pages_outside_of_the_screens_show_texts_as_texts",
    "The browser is told to load from": "test_the_page_loads_from_and_sends_to_this_app_alone test_every_answer_is_protected",
    "Files are read by what they are": "test_office_file_is_recognised_whatever_its_name "
    "test_what_cannot_be_read_is_named_for_what_it_is",
    "A file that would unpack into too much": "test_a_document_that_is_a_bomb_is_refused "
    "test_a_packed_file_of_records_that_fills_the_memory_is_refused test_a_document_that_takes_too_long_is_given_up",
    "A file of one upload that is refused": "test_what_comes_with_a_bomb_goes_in",
    "Pictures, scripts, entities and links within files": "test_pictures_in_a_pdf_are_not_unpacked "
    "test_external_entity_of_an_office_file_brings_nothing_in test_entities_that_multiply_do_not",
    "Cells of exported tables": "test_a_cell_runs_nothing_and_becomes_again_what_it_was test_tables_are_written_in_one_place",
    "Names cannot begin a line of the log": "test_the_log_has_lines_of_the_app_alone_and_no_secret "
    "test_no_path_climbs_out_of_where_it_may_lead",
    "Only an owner chooses where models are asked": "test_a_key_goes_to_the_place_that_it_belongs_to_and_nowhere_else "
    "test_roles_are_those_of_the_table",
    "No redirect is followed": "test_a_redirect_takes_neither_query_nor_key_elsewhere test_embeddings_follow_no_redirect_either",
    "The addresses at which machines of a cloud": "test_the_services_of_a_cloud_are_asked_nothing "
    "test_a_name_that_leads_there_is_not_dialled",
    "An answer that is endless": "test_an_answer_without_an_end_is_given_up",
    "The processes in which models run": "test_the_process_of_a_model_file_is_given_no_keys "
    "test_a_training_is_given_no_keys_but_that_of_the_hub_where_it_loads_weights_there",
    "What a model writes is untrusted": "test_ask_shows_queries_answers_sources_and_names_as_text "
    "test_gradio_takes_messages_for_html_so_they_come_escaped",
    "Requests that another site's page makes": "test_what_a_browser_says_of_another_site_is_believed_for_every_address "
    "test_a_form_of_another_site_is_refused",
    "Only the pages of the Hub may show": "test_no_strangers_space_shows_this_one_in_a_frame "
    "test_a_space_is_framed_and_opened_by_the_pages_of_the_hub_alone",
    "Cookies cannot be read by scripts": "test_the_cookie_is_new_at_every_sign_in_and_scripts_cannot_read_it "
    "test_over_https_no_other_host_can_set_the_cookie_and_the_frame_of_a_space_gets_it",
    "A link within the app leads to its own pages": "test_the_way_back_leads_nowhere_else "
    "test_no_address_puts_headers_or_another_site_into_an_answer",
    "Neither passwords, sign-ins, tokens nor invitations": "test_nothing_that_is_kept_or_sent_holds_a_token "
    "test_the_file_of_a_stranger_lets_nobody_in_and_its_other_rows_come",
    "A workspace file brings no roles": "test_a_file_makes_no_other_browser_that_of_an_owner "
    "test_a_file_that_unpacks_to_more_than_the_limit_is_refused_before_it_fills_the_memory",
    "Published tables have pseudonyms": "test_nobody_is_named_and_nothing_leads_to_a_person",
    "Keys and tokens are blotted out": "test_json_is_an_object_with_the_facts test_no_secret_leaves_in_a_single_byte",
    "Metrics are behind a token": "test_without_the_right_token_nothing_is_told test_no_name_and_no_text_is_in_them",
}


def claims() -> list[str]:
    """Return what the page says is done."""
    found = []
    for part in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        title, _, text = part.partition("\n")
        if title not in SAID:
            found += re.findall(r"^- (.+)$", text, re.M)
    return found


@pytest.fixture(scope="module")
def tests() -> set[str]:
    """The names of all tests."""
    names = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        names |= set(re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M))
    return names


def test_every_claim_has_its_tests_and_every_entry_its_claim():
    said = claims()
    assert len(said) > 30
    assert [claim for claim in said if sum(claim.startswith(begin) for begin in CLAIMS) != 1] == []
    assert [begin for begin in CLAIMS if sum(claim.startswith(begin) for claim in said) != 1] == []


@pytest.mark.parametrize("begin", CLAIMS)
def test_the_tests_of_a_claim_are_there(begin, tests):
    assert [name for name in CLAIMS[begin].split() if name not in tests] == []


def test_it_says_who_could_attack_and_what_is_not_defended():
    titles = re.findall(r"^## (.+)$", PAGE, re.M)
    assert titles[0] == SAID[0] and titles[-1] == SAID[1] and len(titles) == 9
    assert PAGE.split(f"## {SAID[1]}")[1].count("\n- ") >= 8
