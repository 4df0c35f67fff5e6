//! Statements that are sent one after the other without waiting for answers.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use strongroom_domain::Result;

/// A statement that is sent when it is first polled.
pub(super) type Sent<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Sends statements in their order, and gives all answers once all are there. The driver sends a statement in the first poll of
/// it, if the statement is known to the connection; the order is what makes the first of them the start of the transaction.
pub(super) async fn pipeline<T: Send>(mut sent: Vec<Sent<'_, T>>) -> Vec<Result<T>> {
    let mut answers: Vec<Option<Result<T>>> = sent.iter().map(|_| None).collect();
    // Answers come in the order of the statements: only the first that has none yet can have one now.
    let mut answered = 0;
    let mut begun = false;
    poll_fn(|context| {
        if !begun {
            begun = true;
            for (statement, answer) in sent.iter_mut().zip(&mut answers) {
                if let Poll::Ready(ready) = statement.as_mut().poll(context) {
                    *answer = Some(ready);
                }
            }
        }
        while answered < sent.len() {
            if answers[answered].is_none() {
                match sent[answered].as_mut().poll(context) {
                    Poll::Ready(ready) => answers[answered] = Some(ready),
                    Poll::Pending => return Poll::Pending,
                }
            }
            answered += 1;
        }
        Poll::Ready(())
    })
    .await;
    answers.into_iter().flatten().collect()
}
