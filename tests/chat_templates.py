"""Chat templates as families of models have them, in our own words."""

_CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}"

OPENS_NONE = _CHAT + "<|assistant|>{% endif %}"
OPENS = _CHAT + "<|assistant|><think>\n{% endif %}"
CLOSES = _CHAT + "<|assistant|></think>{% endif %}"
OPENS_ANOTHER = _CHAT + "<|assistant|>◁think▷{% endif %}"
STRIPS = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
"""As R1 has it: of an assistant's turn only what stands after the thinking."""
OPENS_TURNS = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}<think>\n{% endif %}"
    "{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
FAILS = "{{ raise_exception('roles must alternate in\nthis model') }}"
BROKEN = "{% for m in messages %}{{ m.content }}"
MISUSED = "{{ messages[7].content }}{{ 1 + 'a' }}"
LEAVES_OUT = "<|user|>{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
