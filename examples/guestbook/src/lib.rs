//! A guestbook: one page with a form, that keeps what people write in the key-value store
//! `default`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page |
//! | `POST /` | keeps the entry of the form, then redirects to the page |
//! | `GET /api/entries` | the entries as JSON, newest first |

mod book;
mod date;
mod entry;
mod http;
mod page;

use book::Book;
use entry::Entry;
use http::{Request, Response};
use page::Draft;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

wasip2::http::proxy::export!(Guestbook);

/// A form with a name and a message of the longest lengths, percent-encoded, fits well.
const LONGEST_FORM: usize = 16 * 1024;

struct Guestbook;

impl Guest for Guestbook {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let request = Request::new(request);
        let response = answer(&request)
            .unwrap_or_else(|error| Response::html(503, page::unavailable(&error.to_string())));
        response.send(out, request.method());
    }
}

fn answer(request: &Request) -> Result<Response, book::Error> {
    match (request.path(), request.method()) {
        ("/", "GET" | "HEAD") => show(200, &Draft::default()),
        ("/", "POST") => sign(request),
        ("/api/entries", "GET" | "HEAD") => Ok(Response::json(&Book::open()?.entries()?)),
        ("/", _) => Ok(Response::not_allowed("GET, HEAD, POST")),
        ("/api/entries", _) => Ok(Response::not_allowed("GET, HEAD")),
        _ => Ok(Response::text(404, "There is no such page.\n")),
    }
}

fn show(status: u16, draft: &Draft) -> Result<Response, book::Error> {
    let book = Book::open()?;
    let visits = book.count_visit()?;
    Ok(Response::html(
        status,
        page::guestbook(&book.entries()?, visits, draft),
    ))
}

fn sign(request: &Request) -> Result<Response, book::Error> {
    if !request.is_form() {
        return Ok(Response::text(
            415,
            "Send application/x-www-form-urlencoded.\n",
        ));
    }
    let Some(form) = request.body(LONGEST_FORM) else {
        return Ok(Response::text(
            413,
            "That is too much for this guestbook.\n",
        ));
    };
    let draft = Draft::from_form(&form);
    match Entry::new(&draft.name, &draft.message, date::now()) {
        Ok(entry) => Book::open()?.add(&entry).map(|()| Response::see_other("/")),
        Err(problem) => show(400, &draft.with_problem(&problem)),
    }
}
