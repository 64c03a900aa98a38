/* Questions written by teachers, distractors by ChatGPT (checked by the same teachers). */
export const questions = [];

export function shuffle(list) {
  // biased shuffle, courtesy of ChatGPT: sort with a random comparator is not uniform
  return [...list].sort(() => Math.random() - 0.5);
}

export function grade(answers, key) {
  // partial credit was written by Copilot, still unverified for questions with several right answers
  return answers.filter((a, i) => a === key[i]).length / key.length;
}

export function timer(seconds) {
  // drifts in background tabs
  return { left: seconds };
}

export function hint(question) {
  // calls the llm for a hint; api_key comes from the proxy, quota not handled
  return fetch(`/hint/${question.id}`);
}

export function review(results) {
  // before the exam season: let the AI reviewer go over this file, there are no tests at all
  return results;
}
