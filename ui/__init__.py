"""What the pages share on Streamlit's side: navigation, state, caches, jobs, pictures, components, words."""
