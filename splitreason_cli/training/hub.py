"""The way of a trained model to the Hugging Face hub. No run of training imports it: it changes no result."""

from pathlib import Path

from .. import __version__
from ..errors import EndpointError, UsageError


def require_hub(repo_id: str) -> None:
    """Raises UsageError for a name that the Hub would not take, or if nobody is logged in."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        raise UsageError(f"--push-to-hub: {repo_id!r} is no name of a repository", "Write owner/name") from None
    if get_token() is None:
        hint = "Set HF_TOKEN, or log in with: hf auth login"
        raise UsageError("--push-to-hub: there is no token for the Hugging Face hub", hint)


def push_model(folder: Path, repo_id: str, *, private: bool) -> str:
    """Upload a model's folder to the Hub, creating the repository if need be; returns its URL.

    The token is that of HF_TOKEN or of the Hub's login. `private` is for a repository that is created here.

    Raises EndpointError, which never holds the token.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(library_name="srx", library_version=__version__)
    try:
        repository = api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository.repo_id, folder_path=folder, commit_message="Upload by srx train")
    except (HTTPError, HfHubHTTPError, OSError, ValueError) as error:
        raise EndpointError(f"{repo_id}: not pushed to the hub ({_reason(error)})", _HINT) from None
    return str(repository)


_HINT = "The model is kept; check network, token and name, then run the same command again"


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status:
        return f"HTTP {status}: {getattr(error, 'server_message', None) or type(error).__name__}"
    return str(error).strip().partition("\n")[0] or type(error).__name__
