//! Questions about names (RFC 1035) as far as a forwarder must look at them: they are passed on as they are, or not at all.

/// Bytes of a message's head.
const HEAD: usize = 12;
/// Bytes of a name (RFC 1035).
const NAME_BYTES: usize = 255;

const ANSWER: u8 = 0x80;
const KIND: u8 = 0x78;
const TRUNCATED: u8 = 0x02;

/// Why a question is not passed on, or has no answer (`RCODE`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It is not formed as a question is.
    Malformed = 1,
    /// No name server has answered.
    Failed = 2,
    /// It is none: a server may do such things for its own machine, but not for a function on it.
    NotAQuestion = 4,
    /// It asks for more than names.
    Refused = 5,
}

/// A message that is a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Question<'a> {
    message: &'a [u8],
    /// Where the asked name, type and class end.
    end: usize,
}

impl<'a> Question<'a> {
    /// Reads a message. None where it deserves no answer; else what it is, or the answer that refuses it.
    pub(crate) fn read(message: &'a [u8]) -> Option<Result<Self, Vec<u8>>> {
        if message.len() < HEAD || message[2] & ANSWER != 0 {
            return None;
        }
        let end = end_of_question(message);
        let question = Self { message, end: end.unwrap_or(HEAD) };
        Some(match question.refusal(end.is_some()) {
            None => Ok(question),
            Some(refusal) => Err(question.refuse(refusal)),
        })
    }

    fn refusal(&self, formed: bool) -> Option<Refusal> {
        // Whole zones (AXFR, IXFR) are not for functions.
        const ZONES: [u16; 2] = [251, 252];
        let count = |at: usize| u16::from_be_bytes([self.message[at], self.message[at + 1]]);
        if self.message[2] & KIND != 0 {
            Some(Refusal::NotAQuestion)
        } else if !formed || count(4) != 1 || count(6) != 0 || count(8) != 0 {
            Some(Refusal::Malformed)
        } else if ZONES.contains(&count(self.end - 4)) {
            Some(Refusal::Refused)
        } else {
            None
        }
    }

    pub(crate) fn message(&self) -> &'a [u8] {
        self.message
    }

    /// The answer that there is none.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Vec<u8> {
        self.empty_answer(0, refusal as u8)
    }

    /// The answer that it does not fit: the asker then asks by a connection.
    pub(crate) fn truncated(&self) -> Vec<u8> {
        self.empty_answer(TRUNCATED, 0)
    }

    fn empty_answer(&self, flags: u8, code: u8) -> Vec<u8> {
        const WANTS_RECURSION: u8 = 0x01;
        const HAS_RECURSION: u8 = 0x80;
        let mut answer = self.message[..self.end].to_vec();
        answer[2] = ANSWER | flags | answer[2] & (KIND | WANTS_RECURSION);
        answer[3] = HAS_RECURSION | code;
        let questions = u8::from(self.end > HEAD);
        answer[4..HEAD].copy_from_slice(&[0, questions, 0, 0, 0, 0, 0, 0]);
        answer
    }

    /// Whether a message answers this question: its number and text.
    pub(crate) fn is_answered_by(&self, message: &[u8]) -> bool {
        message.len() >= HEAD
            && message[2] & ANSWER != 0
            && message[..2] == self.message[..2]
            && message.get(HEAD..self.end) == Some(&self.message[HEAD..self.end])
    }
}

/// Behind the first question: a name of labels, its type and class. None where that is not whole.
fn end_of_question(message: &[u8]) -> Option<usize> {
    let mut at = HEAD;
    loop {
        match message.get(at)? {
            0 => break,
            length @ 1..=63 => at += 1 + usize::from(*length),
            _ => return None,
        }
        if at - HEAD >= NAME_BYTES {
            return None;
        }
    }
    let end = at + 1 + 4;
    (end <= message.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            message.push(label.len() as u8);
            message.extend_from_slice(label.as_bytes());
        }
        message.push(0);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message
    }

    fn code_of(message: &[u8]) -> Option<u8> {
        Question::read(message).map(|read| read.map_or_else(|answer| answer[3] & 15, |_| 0))
    }

    #[test]
    fn questions_pass_and_know_their_answers() {
        let message = question("example.org", 1);
        let asked = Question::read(&message).unwrap().unwrap();
        let mut answer = message.clone();
        assert!(!asked.is_answered_by(&answer), "it is itself no answer");
        answer[2] |= ANSWER;
        answer.extend([1, 2, 3]);
        assert!(asked.is_answered_by(&answer));
        answer[1] ^= 1;
        assert!(!asked.is_answered_by(&answer), "the answer to another one");
        answer[1] ^= 1;
        answer[14] ^= 1;
        assert!(!asked.is_answered_by(&answer) && !asked.is_answered_by(&answer[..20]));
        let with_options = [message.clone(), vec![0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(code_of(&with_options), Some(0));
        assert_eq!(code_of(&question(".", 2)), Some(0), "the root's servers");
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let mut update = question("example.org", 6);
        update[2] = 5 << 3;
        assert_eq!(code_of(&update), Some(4));
        assert_eq!(code_of(&question("example.org", 252)), Some(5));
        assert_eq!(code_of(&question("example.org", 251)), Some(5));
        let mut two = question("example.org", 1);
        two[5] = 2;
        assert_eq!(code_of(&two), Some(1));
        let mut pointer = question("example.org", 1);
        pointer[12] = 0xC0;
        assert_eq!(code_of(&pointer), Some(1));
        assert_eq!(code_of(&question(&"abcdefgh.".repeat(40), 1)), Some(1), "a name of more than 255 bytes");
    }

    #[test]
    fn parts_of_a_question_are_malformed_or_nothing() {
        let message = question("example.org", 1);
        for end in 0..message.len() {
            assert_eq!(code_of(&message[..end]), (end >= HEAD).then_some(1), "{end}");
        }
        let mut answer = message;
        answer[2] |= ANSWER;
        assert_eq!(Question::read(&answer), None, "two forwarders would answer each other for ever");
    }

    #[test]
    fn a_refusal_repeats_the_question_alone() {
        let message = [question("example.org", 1), vec![9; 20]].concat();
        let asked = Question::read(&message).unwrap().unwrap();
        let refused = asked.refuse(Refusal::Failed);
        assert!(asked.is_answered_by(&refused) && refused.len() == question("example.org", 1).len());
        assert_eq!(refused[2..12], [0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(asked.truncated()[2], 0x83);
    }
}
