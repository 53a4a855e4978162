//! Markup that is written, and text that is escaped; there is no third way.

/// A piece of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Html(String);

/// What a character of a value becomes.
enum Shown {
    /// Itself.
    Same,
    /// A word of markup.
    Entity(&'static str),
    /// Its code, for it would be invisible, or turn the text around it.
    Code,
}

impl Html {
    /// Markup, which nobody but this program writes.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A value.
    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        for c in value.chars() {
            match shown(c) {
                Shown::Same => self.0.push(c),
                Shown::Entity(entity) => self.0.push_str(entity),
                Shown::Code => self.0.push_str(&format!("[U+{:04X}]", u32::from(c))),
            }
        }
        self
    }

    /// A number.
    pub(super) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.0.push_str(&grouped(&number.into().to_string()));
        self
    }

    /// A value whose direction of writing ends with it.
    pub(super) fn apart(&mut self, value: &str) -> &mut Self {
        if value.is_empty() {
            return self;
        }
        self.raw("<bdi>").text(value).raw("</bdi>")
    }

    /// An attribute of the tag that was begun.
    pub(super) fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// The beginning of a cell, with its column's heading for narrow screens, where there are no columns.
    pub(super) fn cell(&mut self, class: &'static str, heading: &'static str) -> &mut Self {
        self.raw("<td role=cell");
        if !class.is_empty() {
            self.attribute("class", class);
        }
        self.attribute("data-label", heading).raw(">")
    }

    /// The beginning of a table, with its headings.
    pub(super) fn table(
        &mut self,
        class: &'static str,
        caption: &'static str,
        headings: &[(&'static str, &'static str)],
    ) -> &mut Self {
        self.raw("<table role=table")
            .attribute("class", class)
            .raw("><caption>")
            .text(caption)
            .raw("</caption><thead role=rowgroup><tr role=row>");
        for (class, heading) in headings {
            self.raw("<th role=columnheader scope=col");
            if !class.is_empty() {
                self.attribute("class", class);
            }
            self.raw(">").text(heading).raw("</th>");
        }
        self.raw("</tr></thead>\n<tbody role=rowgroup>\n")
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

fn shown(c: char) -> Shown {
    match c {
        '&' => Shown::Entity("&amp;"),
        '<' => Shown::Entity("&lt;"),
        '>' => Shown::Entity("&gt;"),
        '"' => Shown::Entity("&quot;"),
        '\'' => Shown::Entity("&#39;"),
        '\n' | '\t' => Shown::Same,
        // Marks that turn text around: a message could show another word than it says.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Shown::Code
        }
        '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => Shown::Code,
        c if c.is_control() => Shown::Code,
        _ => Shown::Same,
    }
}

/// Decimal digits in groups of three.
pub(super) fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A value in a query: what is no letter, digit or one of `-._~` by its bytes.
pub(super) fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_element_or_attribute_or_turns_the_text_around() {
        for (value, shown) in [
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            (
                "\" onmouseover=\"alert(1)",
                "&quot; onmouseover=&quot;alert(1)",
            ),
            ("' &amp;", "&#39; &amp;amp;"),
            ("a\u{202e}b\u{2066}c", "a[U+202E]b[U+2066]c"),
            ("\0\u{1b}[31m", "[U+0000][U+001B][31m"),
            ("größe 語", "größe 語"),
        ] {
            let mut html = Html::default();
            html.text(value);
            assert_eq!(html.into_string(), shown);
        }
    }

    #[test]
    fn numbers_and_queries_are_readable() {
        assert_eq!(grouped("1"), "1");
        assert_eq!(grouped("1234567"), "1\u{202f}234\u{202f}567");
        assert_eq!(encoded("a b&c=ü"), "a%20b%26c%3D%C3%BC");
    }
}
