"""The ids of questions to the user: one for each question that is open."""

from blockrun_image_mcp.ledger.confirmation import OpenQuestions


def test_same_question_has_the_same_id_until_it_is_answered() -> None:
    questions = OpenQuestions()
    id = questions.id_of("A fox for $0.042?")
    assert questions.id_of("A fox for $0.042?") == id
    questions.answered(id)
    assert questions.id_of("A fox for $0.042?") != id


def test_each_question_has_an_id_of_its_own() -> None:
    questions = OpenQuestions()
    assert len({questions.id_of(f"{number} foxes?") for number in range(9)}) == 9


def test_answer_closes_only_its_own_question() -> None:
    questions = OpenQuestions()
    fox, owl = questions.id_of("A fox?"), questions.id_of("An owl?")
    questions.answered(fox)
    assert questions.id_of("An owl?") == owl


def test_answer_to_a_question_that_is_not_open_changes_nothing() -> None:
    questions = OpenQuestions()
    id = questions.id_of("A fox?")
    questions.answered("no such id")
    assert questions.id_of("A fox?") == id


def test_oldest_of_too_many_questions_is_forgotten() -> None:
    questions = OpenQuestions()
    ids = [questions.id_of(f"{number} foxes?") for number in range(1_000)]
    newest = questions.id_of("1000 foxes?")
    questions.answered(ids[500])
    assert questions.id_of("1 foxes?") == ids[1]
    assert questions.id_of("1000 foxes?") == newest
    assert questions.id_of("0 foxes?") != ids[0]


def test_open_question_is_not_forgotten_by_asking_it_again() -> None:
    questions = OpenQuestions()
    ids = [questions.id_of(f"{number} foxes?") for number in range(1_000)]
    for _ in range(3):
        questions.id_of("999 foxes?")
    assert questions.id_of("0 foxes?") == ids[0]
