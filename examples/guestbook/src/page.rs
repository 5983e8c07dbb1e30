//! The HTML. Whatever a guest wrote goes through [`escape`].

use crate::date;
use crate::entry::Entry;

const STYLE: &str = include_str!("style.css");

/// What the form holds when the page is shown.
#[derive(Default)]
pub struct Draft {
    pub name: String,
    pub message: String,
    problem: String,
}

impl Draft {
    pub fn from_form(form: &[u8]) -> Self {
        let mut draft = Self::default();
        for (name, value) in form_urlencoded::parse(form) {
            match name.as_ref() {
                "name" => draft.name = value.into_owned(),
                "message" => draft.message = value.into_owned(),
                _ => {}
            }
        }
        draft
    }

    pub fn with_problem(self, problem: &str) -> Self {
        Self {
            problem: problem.to_owned(),
            ..self
        }
    }
}

pub fn guestbook(entries: &[Entry], visits: i64, draft: &Draft) -> String {
    let list = match entries {
        [] => "<p class=\"empty\">Nobody wrote yet. Be the first!</p>".to_owned(),
        _ => format!("<ol>{}</ol>", entries.iter().map(item).collect::<String>()),
    };
    let visits = match visits {
        1 => "This is the first visit.".to_owned(),
        _ => format!("This is visit number {visits}."),
    };
    document(&format!(
        "<header><h1>Guestbook</h1><p>Leave a line. {visits}</p></header>\n\
         <main>{}\n<section aria-label=\"Entries\">{list}</section></main>\n\
         <footer><a href=\"/api/entries\">Entries as JSON</a></footer>",
        form(draft)
    ))
}

pub fn unavailable(reason: &str) -> String {
    document(&format!(
        "<header><h1>Guestbook</h1></header>\n<main><p class=\"problem\" role=\"alert\">The pages \
         cannot be reached just now: {}.</p><p><a href=\"/\">Try again</a></p></main>",
        escape(reason)
    ))
}

fn document(content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Guestbook</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{content}\n</body>\n\
         </html>\n"
    )
}

fn form(draft: &Draft) -> String {
    let problem = match draft.problem.as_str() {
        "" => String::new(),
        problem => format!(
            "<p class=\"problem\" role=\"alert\">{}</p>",
            escape(problem)
        ),
    };
    format!(
        "<form method=\"post\" action=\"/\">{problem}\n\
         <label>Name <input name=\"name\" maxlength=\"60\" autocomplete=\"name\" required \
         value=\"{}\"></label>\n\
         <label>Message <textarea name=\"message\" rows=\"3\" maxlength=\"1000\" required>\n{}\
         </textarea></label>\n<button>Sign the guestbook</button></form>",
        escape(&draft.name),
        escape(&draft.message)
    )
}

fn item(entry: &Entry) -> String {
    let at = date::format(entry.at);
    format!(
        "<li><p class=\"message\">{}</p><p class=\"by\"><b>{}</b> \
         <time datetime=\"{at}Z\">{at} UTC</time></p></li>\n",
        escape(&entry.message),
        escape(&entry.name)
    )
}

/// Makes text safe between tags and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "</textarea>'\"<script>alert(1)</script>&";

    #[test]
    fn nothing_that_a_guest_wrote_becomes_markup() {
        let entry = Entry {
            name: EVIL.to_owned(),
            message: EVIL.to_owned(),
            at: 0,
        };
        let draft = Draft {
            name: EVIL.to_owned(),
            message: EVIL.to_owned(),
            problem: EVIL.into(),
        };
        let page = guestbook(&[entry], 2, &draft);
        assert!(!page.contains("<script"));
        assert_eq!(page.matches("</textarea>").count(), 1);
        assert_eq!(page.matches("&lt;script&gt;").count(), 5);
    }

    #[test]
    fn a_form_is_decoded() {
        let draft = Draft::from_form(b"name=Ada+L.&message=1%20%2B%201&more=x");
        assert_eq!(
            (draft.name.as_str(), draft.message.as_str()),
            ("Ada L.", "1 + 1")
        );
    }

    #[test]
    fn a_refused_entry_stays_in_the_form() {
        let draft = Draft::from_form(b"name=&message=Hello").with_problem("Please tell your name.");
        let page = guestbook(&[], 1, &draft);
        assert!(page.contains("Please tell your name."));
        assert!(page.contains("required>\nHello</textarea>"));
    }
}
